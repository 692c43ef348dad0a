use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::error::{BoxError, chain};

/// A check that succeeds while a dependency responds.
pub(super) type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), BoxError>> + Send + Sync>;

/// How long a dependency may take to respond before it counts as down.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// Waits for the result of a check. Returns why the dependency counts as down, if it does.
pub(super) async fn problem<E: Into<BoxError>>(check: impl Future<Output = Result<(), E>>) -> Option<String> {
    match tokio::time::timeout(PROBE_TIMEOUT, check).await {
        Ok(result) => result.err().map(|error| chain(&*error.into())),
        Err(_elapsed) => Some(format!("no response within {PROBE_TIMEOUT:?}")),
    }
}
