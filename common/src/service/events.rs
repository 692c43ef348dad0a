use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::bus::{Bus, Durable};
use crate::error::chain;
use crate::trace::in_new_trace;

/// How often to update the metric.
const LAG_INTERVAL: Duration = Duration::from_secs(30);

/// How often to repeat a warning.
const WARNING_INTERVAL: Duration = Duration::from_secs(3600);

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

/// Reports how far each durable is behind: in a metric, and in the log before events may be deleted unhandled.
pub(super) async fn watch_lag(bus: Arc<dyn Bus>, durables: Vec<Durable>, stop: CancellationToken) {
    let mut warned_at: HashMap<&str, Instant> = HashMap::new();
    while !stop.is_cancelled() {
        for durable in &durables {
            let listener = durable.name;
            let lag = match bus.lag(*durable).await {
                Ok(lag) => lag,
                Err(error) => {
                    debug!(listener, error = chain(&error), "could not read how far a listener is behind");
                    break;
                }
            };
            gauge!("events_lag_seconds", "listener" => listener).set(lag.as_secs_f64());
            let is_far = bus.retention().is_some_and(|retention| lag > retention / 2);
            if is_far && warned_at.get(listener).is_none_or(|at| at.elapsed() >= WARNING_INTERVAL) {
                warned_at.insert(listener, Instant::now());
                warn!(listener, ?lag, "the listener is behind by more than half of EVENT_RETENTION_DAYS");
            }
        }
        stop.run_until_cancelled(tokio::time::sleep(LAG_INTERVAL)).await;
    }
}
