//! The bus: delivers every event to every listener at least once, also after a crash.
//!
//! Relays and workers see only [`Publisher`]. [`Bus`] adds subscriptions for the [listener runtime](crate::listener),
//! history and dead letters. Most services use neither: they announce events through their [outbox](crate::outbox) and
//! implement [`Listener`](crate::listener::Listener).

use std::time::Duration;

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::clock::Timestamp;
use crate::error::BoxError;
use crate::events::{Message, Subject};

/// A named position in the stream that outlives its readers. There is one per service and subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// `<service>_<subject with - for :>`.
    pub name: &'static str,
    /// The subject it reads.
    pub subject: Subject,
}

impl Durable {
    /// How the names of all durables of a subject end: `_order-created`.
    pub fn suffix(subject: Subject) -> String {
        format!("_{}", subject.as_str().replace(':', "-"))
    }

    /// Warns that the durable was missing and starts at the beginning of the events that are kept. For engines.
    ///
    /// `first` is the position of the first event in the stream, and `waiting` how many there are for the durable.
    pub fn report_created(self, first: u64, waiting: u64) {
        let listener = self.name;
        match self.subject.publisher_with_records() {
            Some(service) if first > 1 => {
                let command = format!("ticketing republish {service}");
                warn!(listener, command, "a listener is new and older events are deleted, run the command to catch up");
            }
            _ if waiting > 0 => {
                warn!(listener, waiting, "a listener is new or was deleted, it starts with the first event")
            }
            _ => {}
        }
    }
}

/// A message delivered to one reader of a durable, which must settle it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Identifies the delivery; chosen by the engine.
    pub token: u64,
    /// How often the message has been delivered, including this time: 1 for the first.
    pub attempt: u32,
    /// The published message.
    pub message: Message,
}

/// How a reader settles a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The message is handled.
    Ack,
    /// Redeliver it after the delay.
    Retry(Duration),
    /// Store it as a dead letter with this reason, and do not redeliver it.
    Reject(String),
}

/// A message that a listener rejected.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Identifies the dead letter; chosen by the engine.
    pub id: String,
    /// The durable that rejected it.
    pub listener: String,
    /// Why it was rejected.
    pub reason: String,
    /// How often it was delivered, including the delivery that was rejected.
    pub attempts: u32,
    /// The published message.
    pub message: Message,
}

/// Where to start to read the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryStart {
    /// Before the messages of all records that were created at this time or later. Includes older messages, but none
    /// that were published long before.
    Since(Timestamp),
    /// After the message at this position.
    After(u64),
}

/// Messages of the history with their positions.
pub type Page = Vec<(u64, Message)>;

/// How far the readers of a durable have come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DurableProgress {
    /// The durable's name.
    pub durable: String,
    /// Every message of its subject up to this position is settled, except `deferred`. The maximum if nothing is left.
    pub position: u64,
    /// The positions of messages that are not settled although the position has passed them.
    pub deferred: Vec<u64>,
}

/// The error of a bus operation.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus cannot be reached or written to at the moment.
    #[error("the bus is unavailable")]
    Unavailable(#[source] BoxError),
    /// The bus is misconfigured or belongs to another system. Retrying does not help.
    #[error("the bus cannot be used")]
    Unusable(#[source] BoxError),
}

impl BusError {
    /// [`BusError::Unavailable`] with this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// [`BusError::Unusable`] with this cause.
    pub fn unusable(cause: impl Into<BoxError>) -> Self {
        Self::Unusable(cause.into())
    }

    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Unusable(_) => false,
        }
    }
}

/// Where the stream has a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Its position.
    pub position: u64,
    /// The id of the message.
    pub message_id: String,
    /// Differs after the connection to the bus was lost, because the bus may have been restored meanwhile.
    #[serde(skip)]
    pub connection: u64,
}

/// The port for publishing.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Appends messages in order. Returns once they are durable, with the receipt of the last one.
    ///
    /// Publishing is idempotent: a message whose id is already in the stream is dropped.
    async fn publish(&self, messages: &[Message]) -> Result<Option<Receipt>, BusError>;

    /// Whether the stream still has a message that was published, or has deleted it because of its age. False if the
    /// stream was restored from an older copy.
    async fn has(&self, receipt: &Receipt) -> Result<bool, BusError>;
}

/// The port: a retained, ordered stream of messages, read through durables.
#[async_trait]
pub trait Bus: Publisher {
    /// Starts to read at the durable's position, which for a new durable is the beginning of the stream. The readers of
    /// one durable share its messages.
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError>;

    /// Reads the messages of these subjects up to the end of the stream, oldest first, each with its position. A page
    /// may be empty. Messages that are published meanwhile may be missing.
    ///
    /// Does not affect durables. Use it to rebuild state that was lost elsewhere.
    fn history(&self, subjects: &'static [Subject], start: HistoryStart) -> BoxStream<'_, Result<Page, BusError>>;

    /// Returns the progress of all durables, sorted by name. It may lag behind what was settled within the last moment.
    async fn progress(&self) -> Result<Vec<DurableProgress>, BusError>;

    /// Returns at most `limit` dead letters after the dead letter `after`, oldest first. Returns none after the last.
    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError>;

    /// Redelivers a dead letter to the listener that rejected it, as a first attempt, then deletes it. Returns false if
    /// there is none with this id.
    ///
    /// After a crash in between, it is redelivered and still stored.
    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// Deletes a dead letter. Returns false if there is none with this id.
    async fn drop_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// The age of the oldest event that a durable has not handled: not delivered, in flight or to be redelivered. Zero if
    /// there is none, or no such durable.
    async fn lag(&self, durable: Durable) -> Result<Duration, BusError>;

    /// How long events are kept; `None` if all are.
    fn retention(&self) -> Option<Duration>;

    /// Deletes events that have outlived the retention, unless a server does that by itself. `durables` are all that
    /// the program reads; others that hold events back are reported in the log.
    async fn delete_old_events(&self, durables: &[Durable]) -> Result<(), BusError>;

    /// Checks that the bus responds.
    async fn ping(&self) -> Result<(), BusError>;
}

/// One reader of a durable. Dropping it returns its unsettled deliveries to the other readers.
#[async_trait]
pub trait Subscription: Send + Sync {
    /// Waits for messages and returns at most `limit` of them. Cancel safe: dropping the future loses no message.
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError>;

    /// Settles a delivery of this reader.
    ///
    /// An `Ack` may be lost in a crash; the message is then redelivered. A `Reject` is durable when this returns. If
    /// the dead letter cannot be stored, the message is redelivered.
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError>;
}
