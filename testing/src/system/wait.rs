//! Waiting for conditions.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Much longer than anything takes, even on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(20);

/// Polls `condition` until it returns a value. `what` describes it for the failure message.
pub async fn wait_until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    wait_until_ok(async || condition().await.ok_or_else(|| what.to_owned())).await
}

/// Polls `condition` until it succeeds. Its error says what is still missing.
pub async fn wait_until_ok<T>(mut condition: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match condition().await {
            Ok(value) => return value,
            Err(missing) => assert!(Instant::now() < deadline, "timed out waiting: {missing}"),
        }
        sleep(POLL).await;
    }
}

/// Passes if one of three attempts is on time: on a busy machine a single one may be unlucky. The error of an attempt
/// says how late it was.
pub async fn in_time(mut attempt: impl AsyncFnMut() -> Result<(), String>) {
    let mut late = Vec::new();
    while let Err(how_late) = attempt().await {
        late.push(how_late);
        assert!(late.len() < 3, "all three attempts were late: {late:?}");
    }
}
