//! The relay: publishes the events in a service's outbox.
//!
//! An event is stored in the same write as the change it announces. The relay publishes it moments later, woken by the
//! write, and sweeps for events that a crash or a dead replica left behind. It publishes before it clears the outbox:
//! an event may be sent twice, but never not at all.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::bus::{BusError, Publisher};
use crate::error::chain;
use crate::events::Message;
use crate::store::{Database, StoreError, Unpublished};

/// Events published together.
const BATCH: usize = 256;

/// How often to sweep for events that no write announced.
const SWEEP: Duration = Duration::from_secs(5);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Publishes the events of one service until `stop`, then what is left in the outbox, and returns.
pub async fn relay(service: &'static str, database: Database, publisher: Arc<dyn Publisher>, stop: CancellationToken) {
    loop {
        let stopping = stop.is_cancelled();
        let pause = match publish_all(service, &database, &*publisher).await {
            Ok(()) => SWEEP,
            Err(error) => {
                warn!(service, error = chain(&error), "could not publish events, will retry");
                // An unreadable entry does not delay the others: they have been published by now.
                if matches!(error, RelayError::Store(StoreError::Corrupt { .. })) { SWEEP } else { PAUSE }
            }
        };
        if stopping {
            return;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = database.outbox_filled().notified(), if pause == SWEEP => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

async fn publish_all(service: &'static str, database: &Database, publisher: &dyn Publisher) -> Result<(), RelayError> {
    let age = gauge!("outbox_oldest_seconds", "service" => service);
    loop {
        let events = database.store().unpublished(BATCH).await?;
        let Some(oldest) = events.first() else {
            age.set(0.0);
            return Ok(());
        };
        age.set(database.clock().now().since(oldest.since).as_secs_f64());
        publish(&events, database, publisher).await?;
    }
}

async fn publish(events: &[Unpublished], database: &Database, publisher: &dyn Publisher) -> Result<(), RelayError> {
    let messages: Vec<Message> = events.iter().map(|event| event.message.clone()).collect();
    publisher.publish(&messages).await?;
    for message in &messages {
        counter!("events_published_total", "subject" => message.subject.as_str()).increment(1);
    }
    Ok(database.store().published(events).await?)
}
