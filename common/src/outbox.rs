//! The relay: carries events from a service's outbox to the bus.
//!
//! An event is stored in the same write as the change it announces. The relay publishes it soon after, woken by the
//! write, and sweeps for what a crash or another replica's death left behind. It publishes before it clears, so it may
//! send twice, never not at all.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::bus::{Bus, BusError, Message};
use crate::store::{Database, StoreError, Unpublished};

/// Events carried at once.
const BATCH: usize = 256;

/// How often to look for events that nobody announced.
const SWEEP: Duration = Duration::from_secs(5);

/// How long to wait after a failure.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Carries the events of one service until `stop`, then what is left, and returns.
pub async fn relay(service: &'static str, database: Database, bus: Arc<dyn Bus>, stop: CancellationToken) {
    loop {
        let stopping = stop.is_cancelled();
        let pause = match carry_all(service, &database, &*bus).await {
            Ok(()) => SWEEP,
            Err(error) => {
                warn!(service, %error, "could not publish events; they are kept and tried again");
                // What can not be read holds up nothing else.
                if matches!(error, RelayError::Store(StoreError::Corrupt { .. })) { SWEEP } else { PAUSE }
            }
        };
        if stopping {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = database.stored_events().notified(), if pause == SWEEP => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn carry_all(service: &'static str, database: &Database, bus: &dyn Bus) -> Result<(), RelayError> {
    let age = gauge!("outbox_oldest_seconds", "service" => service);
    loop {
        let events = database.store().unpublished(BATCH).await?;
        let Some(oldest) = events.first() else {
            age.set(0.0);
            return Ok(());
        };
        age.set(database.clock().now().since(oldest.since).as_secs_f64());
        carry(&events, database, bus).await?;
    }
}

async fn carry(events: &[Unpublished], database: &Database, bus: &dyn Bus) -> Result<(), RelayError> {
    let messages: Vec<Message> = events.iter().map(|event| event.message.clone()).collect();
    bus.publish(&messages).await?;
    for message in &messages {
        counter!("events_published_total", "subject" => message.subject.as_str()).increment(1);
    }
    Ok(database.store().published(events).await?)
}
