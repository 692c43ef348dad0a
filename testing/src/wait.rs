//! Waiting without fixed sleeps.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Far longer than anything takes, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Waits for a future that must complete.
///
/// # Panics
///
/// If it has not completed after a minute.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("still waiting for {what}"),
    }
}

/// Polls a condition until it holds.
///
/// # Panics
///
/// If it does not hold after a minute.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, condition: impl Fn() -> F) {
    soon(what, async {
        while !condition().await {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
