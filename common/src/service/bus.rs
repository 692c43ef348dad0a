use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use tracing::{info, warn};

use super::probe::problem;
use crate::bus::Bus;

const CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Reports in the metric `bus_up` and in the log whether the bus responds.
///
/// Not part of readiness: without the bus requests succeed, and their events wait in the outbox.
pub(super) async fn watch_bus(bus: Arc<dyn Bus>) {
    let mut was_up = true;
    loop {
        let problem = problem(bus.ping()).await;
        let is_up = problem.is_none();
        gauge!("bus_up").set(f64::from(u8::from(is_up)));
        match problem {
            Some(problem) if was_up => warn!(problem, "the bus is down"),
            None if !was_up => info!("the bus is up again"),
            _ => {}
        }
        was_up = is_up;
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}
