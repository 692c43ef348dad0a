use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::bus::{Bus, Durable};
use crate::error::chain;
use crate::trace::in_new_trace;

const DELETION_INTERVAL: Duration = Duration::from_secs(3600);

/// Deletes old events at the start and then every hour.
pub(super) async fn delete_old_events(bus: Arc<dyn Bus>, durables: Vec<Durable>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let deleted = in_new_trace("deletion of old events", bus.delete_old_events(&durables));
        if let Some(Err(error)) = stop.run_until_cancelled(deleted).await {
            warn!(error = chain(&error), "could not delete old events, will retry");
        }
        stop.run_until_cancelled(tokio::time::sleep(DELETION_INTERVAL)).await;
    }
}
