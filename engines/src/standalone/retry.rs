//! Waiting for a server at start.

use std::error::Error;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use common::error::chain;
use tracing::warn;

use super::error::StartError;

/// Retries for about a minute.
const RETRY_DELAY: Duration = Duration::from_secs(3);
const MAX_RETRIES: usize = 19;

/// Calls `connect` until it succeeds or its error is not transient, for about a minute.
pub(super) async fn retry_until_ready<T, E: Error + Send + Sync + 'static>(
    server: &'static str,
    connect: impl AsyncFn() -> Result<T, E>,
    is_transient: impl Fn(&E) -> bool,
) -> Result<T, StartError> {
    let delays = ConstantBuilder::default().with_delay(RETRY_DELAY).with_max_times(MAX_RETRIES);
    let warn = |error: &E, delay| warn!(server, error = chain(error), ?delay, "server not ready, will retry");
    let connected = (|| connect()).retry(delays).when(is_transient).notify(warn).await;
    connected.map_err(|error| StartError::Server { server, source: error.into() })
}

#[cfg(test)]
mod tests {
    use std::io;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_transient_errors_are_retried_and_for_a_minute() {
        for (transient, least, most) in [(true, 55, 60), (false, 0, 0)] {
            let started = Instant::now();
            let refused = async || Err::<(), _>(io::Error::from(io::ErrorKind::ConnectionRefused));
            let error = retry_until_ready("Redis (REDIS_HOST)", refused, |_| transient).await.unwrap_err();
            assert_eq!(chain(&error), "could not use Redis (REDIS_HOST): connection refused");
            assert!((least..=most).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
        }
    }
}
