//! Waiting without fixed sleeps.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

/// Far longer than anything takes, even on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(60);

const POLL: Duration = Duration::from_millis(10);

/// Waits for a future that must complete. `what` describes it for the failure message.
///
/// # Panics
///
/// If it has not completed after a minute.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(TIMEOUT, future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("still waiting for {what}"),
    }
}

/// Polls `condition` until it returns a value. `what` describes it for the failure message.
///
/// # Panics
///
/// If it has returned none after a minute.
pub async fn wait_until<T, F: Future<Output = Option<T>>>(what: &str, condition: impl Fn() -> F) -> T {
    soon(what, async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            sleep(POLL).await;
        }
    })
    .await
}

/// Polls `condition` until it succeeds. Its error says what is still missing.
///
/// # Panics
///
/// If it has not succeeded after a minute.
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
///
/// # Panics
///
/// If all three attempts are late.
pub async fn in_time(mut attempt: impl AsyncFnMut() -> Result<(), String>) {
    let mut late = Vec::new();
    while let Err(how_late) = attempt().await {
        late.push(how_late);
        assert!(late.len() < 3, "all three attempts were late: {late:?}");
    }
}
