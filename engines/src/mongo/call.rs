//! Calls to the server.

use std::time::Duration;

use common::store::StoreError;

use super::error::CallError;

/// Runs `call` for at most `timeout`.
///
/// In a task, because the driver's futures must run to completion even if the caller gives up.
pub(super) async fn with_timeout<T: Send + 'static>(
    timeout: Duration,
    call: impl Future<Output = Result<T, CallError>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::time::timeout(timeout, tokio::spawn(call)).await {
        Ok(Ok(outcome)) => outcome.map_err(StoreError::from),
        Ok(Err(failed)) => Err(StoreError::unavailable(failed)),
        Err(_elapsed) => Err(StoreError::unavailable(format!("MongoDB did not respond within {timeout:?}"))),
    }
}

/// A limit as MongoDB takes it.
pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
