//! Waiting for what must come to hold.

use std::time::Duration;

use tokio::time::Instant;

/// Far above what anything takes on a machine that is busy with other things.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `condition` gives a value, asking again and again; `what` says what is waited for.
pub(crate) async fn wait_until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    wait_for(async || condition().await.ok_or_else(|| what.to_owned())).await
}

/// Like [`wait_until`], for a condition that itself says what is missing.
pub(crate) async fn wait_for<T>(mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let give_up = Instant::now() + LIMIT;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(missing) => assert!(Instant::now() < give_up, "gave up waiting: {missing}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Tries three times what must not take longer than promised: on a machine that is busy with other things, one try may
/// be unlucky, and says how.
pub(crate) async fn in_time(mut attempt: impl AsyncFnMut() -> Result<(), String>) {
    let mut late = Vec::new();
    while let Err(how) = attempt().await {
        late.push(how);
        assert!(late.len() < 3, "never in time: {late:?}");
    }
}
