//! Forgets the reservations of old orders.
//!
//! A reservation is remembered for events that arrive late. Once the bus has deleted the events of that time, none can.

use std::time::Duration;

use common::error::chain;
use common::ids::{OrderId, RecordId};
use common::store::StoreError;
use common::trace::in_new_trace;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::AppState;

/// How often to look for old reservations.
const INTERVAL: Duration = Duration::from_secs(3600);

/// How many reservations to delete at once.
const BATCH: usize = 500;

/// Forgets reservations that are older than the events on the bus, until `stop`.
pub(crate) async fn run(app: AppState, event_retention: Duration, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let deletion = in_new_trace("retention", delete_old(&app, event_retention));
        if let Some(Err(error)) = stop.run_until_cancelled(deletion).await {
            warn!(error = chain(&error), "could not delete old reservations, will retry");
        }
        stop.run_until_cancelled(app.clock.sleep_until(app.clock.now().plus(INTERVAL))).await;
    }
}

async fn delete_old(app: &AppState, event_retention: Duration) -> Result<(), StoreError> {
    // Ids are ordered by the time of the order.
    let first = OrderId::earliest(app.clock.now().minus(event_retention));
    let mut deleted = 0;
    loop {
        let batch = app.reservations.delete_before(first, BATCH).await?;
        deleted += batch;
        if batch < BATCH {
            break;
        }
    }
    if deleted > 0 {
        info!(reservations = deleted, "deleted reservations of old orders");
    }
    Ok(())
}
