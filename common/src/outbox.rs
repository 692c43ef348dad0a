//! The relay: publishes the events in a service's outbox.
//!
//! An event is stored in the same write as the change it announces, and the write wakes the relay. A regular sweep
//! finds events that a crash left behind. The relay clears an event from the outbox only after it is published, so an
//! event may be published twice but is never lost.

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::bus::{BusError, Publisher};
use crate::error::chain;
use crate::events::Message;
use crate::store::{Database, StoreError, Unpublished};
use crate::trace::in_new_trace;

/// How many events to publish at once.
const BATCH: usize = 256;

/// How often to look for events when no write wakes the relay.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// Publishes the events of one service until `stop`, then drains the outbox and returns.
pub async fn relay(service: &'static str, database: Database, publisher: Arc<dyn Publisher>, stop: CancellationToken) {
    loop {
        let stopping = stop.is_cancelled();
        let result = in_new_trace("relay", async {
            let result = publish_all(service, &database, &*publisher).await;
            if let Err(error) = &result {
                warn!(service, error = chain(error), "could not publish events, will retry");
            }
            result
        })
        .await;
        if stopping {
            return;
        }
        let pause = async {
            match result {
                // The store reports a corrupt entry only after all others are published, so there is no hurry.
                Ok(()) | Err(RelayError::Store(StoreError::Corrupt { .. })) => {
                    let notified = database.outbox_filled().notified();
                    let _timed_out = tokio::time::timeout(SWEEP_INTERVAL, notified).await;
                }
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        };
        let _cancelled = stop.run_until_cancelled(pause).await;
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
