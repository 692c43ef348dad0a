//! The relay: publishes the events in a service's outbox.
//!
//! An event is stored in the same write as the change it announces. The write hands it to the relay of its process,
//! which publishes it without reading it. An event that is only in the database is found by a *sweep*. A relay sweeps
//! when it starts, after its queue was full, and after a write with an unknown outcome. What a crash leaves behind is
//! found by one replica at a time, which holds a lease and sweeps at intervals.
//!
//! The relay clears an event from the outbox only after it is published, so an event may be published twice but is never
//! lost. An entry that cannot be published stays in the outbox and holds up no others.

mod lease;
mod losses;
mod marks;
mod publish;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::bus::{BusError, Publisher};
use crate::clock::Timestamp;
use crate::error::chain;
use crate::store::{Database, InvalidEntry, StoreError, Unpublished};
use crate::trace::in_new_trace;

use lease::Lease;
use marks::Marks;
use publish::Sender;

pub use lease::RELAY_SCHEMA;
pub(crate) use lease::load_published;
pub use losses::watch_losses;
pub use marks::Published;

/// How many events to publish at once.
const BATCH: usize = 256;

/// How often the holder of the lease looks for events that were left behind.
const SWEEP_INTERVAL: Duration = Duration::from_secs(20);

/// How old an event is that was left behind. The replica that stored a younger one is about to publish it.
const LEFT_BEHIND: Duration = Duration::from_secs(5);

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
pub async fn relay(
    service: &'static str,
    database: Database,
    publisher: Arc<dyn Publisher>,
    published: Published,
    stop: CancellationToken,
) {
    let mut relay = Relay {
        service,
        lease: Lease::new(&database),
        sender: Sender::new(service, publisher),
        published,
        waiting: Vec::new(),
        unpublishable: HashSet::new(),
        has_started: false,
        next_sweep: database.clock().now().plus(SWEEP_INTERVAL),
        database,
    };
    relay.run(&stop).await;
    if let Err(error) = relay.lease.release(&relay.marks()).await {
        warn!(service, error = chain(&error), "could not release the lease on the outbox, it ends later");
    }
}

struct Relay {
    service: &'static str,
    database: Database,
    lease: Lease,
    sender: Sender,
    published: Published,
    /// Events from the queue that are not published yet.
    waiting: Vec<Unpublished>,
    /// The entries that the last sweeps could not publish: the ids of messages, and the tokens of invalid entries.
    unpublishable: HashSet<String>,
    /// Whether the first sweep is done.
    has_started: bool,
    next_sweep: Timestamp,
}

impl Relay {
    async fn run(&mut self, stop: &CancellationToken) {
        loop {
            let stopping = stop.is_cancelled();
            let result = in_new_trace("relay", async {
                let result = self.work().await;
                if let Err(error) = &result {
                    warn!(service = self.service, error = chain(error), "could not publish events, will retry");
                }
                result
            })
            .await;
            if stopping {
                return;
            }
            let pause = async {
                match result {
                    Ok(()) => tokio::select! {
                        () = self.database.handover().filled() => {}
                        () = self.database.clock().sleep_until(self.next_sweep) => {}
                    },
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            };
            let _cancelled = stop.run_until_cancelled(pause).await;
        }
    }

    /// Publishes what is in the queue, and then what was left behind, if it is time to look for that.
    async fn work(&mut self) -> Result<(), RelayError> {
        self.publish_queue().await?;
        if self.database.handover().is_incomplete() {
            self.sweep(None).await?;
            self.database.handover().complete();
            // For what was stored in between.
            self.has_started = false;
        }
        if !self.has_started {
            self.sweep(None).await?;
            self.has_started = true;
            // So that even a short life leaves marks.
            self.lease.take(self.database.clock().now(), &self.marks()).await?;
        }
        let now = self.database.clock().now();
        if now >= self.next_sweep {
            self.next_sweep = now.plus(SWEEP_INTERVAL);
            if self.lease.take(now, &self.marks()).await? {
                self.sweep(Some(now.minus(LEFT_BEHIND))).await?;
            } else {
                // Its holder reports them.
                self.note_unpublishable(HashSet::new());
            }
        }
        self.note_age(None);
        Ok(())
    }

    async fn publish_queue(&mut self) -> Result<(), RelayError> {
        loop {
            self.waiting.extend(self.database.handover().take(BATCH - self.waiting.len()));
            if self.waiting.is_empty() {
                return Ok(());
            }
            let waiting = std::mem::take(&mut self.waiting);
            if let Err(error) = self.publish(&waiting).await {
                self.waiting = waiting;
                return Err(error);
            }
        }
    }

    /// Publishes what is in the outbox and was stored by `until`, if that is given.
    async fn sweep(&mut self, until: Option<Timestamp>) -> Result<(), RelayError> {
        loop {
            // Unpublishable entries stay where they are, so read past them.
            let outbox = self.database.store().unpublished(BATCH + self.unpublishable.len()).await?;
            let new = self.report_invalid(&outbox.invalid);
            let (refused, mut left_behind): (Vec<_>, Vec<_>) =
                outbox.events.into_iter().partition(|event| self.unpublishable.contains(&event.message.id));
            left_behind.retain(|event| until.is_none_or(|until| event.since <= until));
            if !left_behind.is_empty() {
                self.publish(&left_behind).await?;
            } else if new == 0 {
                let invalid = outbox.invalid.into_iter().map(|entry| entry.token);
                let unpublishable = invalid.chain(self.retry(refused).await?).collect();
                self.note_unpublishable(unpublishable);
                return Ok(());
            }
        }
    }

    /// Publishes events and clears them together. Those that the bus refuses stay in the outbox.
    async fn publish(&mut self, events: &[Unpublished]) -> Result<(), RelayError> {
        self.note_age(events.first());
        let refused = self.sender.publish(events).await?;
        if let (Some(receipt), Some(oldest)) =
            (self.sender.take_receipt(), events.iter().map(|event| event.since).min())
        {
            self.published.marks().note(receipt, oldest, self.database.clock().now());
        }
        let refused: HashSet<&str> = refused.iter().map(|event| &*event.message.id).collect();
        let is_published = |event: &&Unpublished| !refused.contains(&*event.message.id);
        self.clear(&events.iter().filter(is_published).cloned().collect::<Vec<_>>()).await?;
        if !refused.is_empty() {
            let refused = refused.into_iter().map(str::to_owned);
            let unpublishable = self.unpublishable.drain().chain(refused).collect();
            self.note_unpublishable(unpublishable);
        }
        Ok(())
    }

    /// Publishes events that the bus has refused before, if it no longer does. Returns the ids of the others.
    async fn retry(&mut self, events: Vec<Unpublished>) -> Result<Vec<String>, RelayError> {
        let (mut published, mut refused) = (Vec::new(), Vec::new());
        for event in events {
            if self.sender.retry(&event).await {
                published.push(event);
            } else {
                refused.push(event.message.id);
            }
        }
        self.clear(&published).await?;
        Ok(refused)
    }

    async fn clear(&self, published: &[Unpublished]) -> Result<(), StoreError> {
        for event in published {
            counter!("events_published_total", "subject" => event.message.subject.as_str()).increment(1);
        }
        if published.is_empty() { Ok(()) } else { self.database.store().published(published).await }
    }

    /// Reports each invalid entry once. Returns how many were not reported before.
    fn report_invalid(&mut self, invalid: &[InvalidEntry]) -> usize {
        let mut new = 0;
        for InvalidEntry { token, reason } in invalid {
            if self.unpublishable.insert(token.clone()) {
                new += 1;
                let (service, error) = (self.service, chain(&**reason));
                error!(service, entry = token, error, "an entry of the outbox cannot be published, it stays there");
            }
        }
        new
    }

    fn note_unpublishable(&mut self, entries: HashSet<String>) {
        gauge!("outbox_unpublishable", "service" => self.service).set(entries.len() as f64);
        self.unpublishable = entries;
    }

    fn marks(&self) -> Marks {
        self.published.marks().clone()
    }

    fn note_age(&self, oldest: Option<&Unpublished>) {
        let age = oldest.map_or(Duration::ZERO, |event| self.database.clock().now().since(event.since));
        gauge!("outbox_oldest_seconds", "service" => self.service).set(age.as_secs_f64());
    }
}
