//! The bus: delivers every event to every listener at least once, also after a crash.
//!
//! [`Publisher`] is the half that relays and workers use. [`Bus`] adds the reading half: subscriptions for the
//! [listener runtime](crate::listener), history, and dead letters. Services see neither: they announce events through
//! their [outbox](crate::outbox) and implement [`Listener`](crate::listener::Listener).

use std::time::Duration;

use async_trait::async_trait;

use crate::error::BoxError;
use crate::events::{Message, Subject};

/// A named position in the stream that outlives its readers: one per service and subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// `<service>_<subject with - for :>`.
    pub name: &'static str,
    /// The subject it reads.
    pub subject: Subject,
}

/// A message handed to one reader of a durable, which must settle it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Identifies the delivery to the engine.
    pub token: u64,
    /// How often the message has been delivered, including this time.
    pub attempt: u32,
    /// The published message.
    pub message: Message,
}

/// How a reader settles a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Handled: never deliver it to this durable again.
    Ack,
    /// Deliver it again after the delay.
    Retry(Duration),
    /// Never deliver it again: store it as a dead letter with this reason.
    Reject(String),
}

/// A message that a listener rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Identifies the dead letter; the format is the engine's.
    pub id: String,
    /// The durable that rejected it.
    pub listener: String,
    /// Why it was rejected.
    pub reason: String,
    /// How often it had been delivered.
    pub attempts: u32,
    /// The published message.
    pub message: Message,
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

/// The port for publishing.
#[async_trait]
pub trait Publisher: Send + Sync + 'static {
    /// Appends messages in this order and returns once they are durable.
    ///
    /// Publishing is idempotent: a message whose id is already in the stream is dropped.
    async fn publish(&self, messages: &[Message]) -> Result<(), BusError>;
}

/// The port: a retained, ordered stream of messages that durables read.
#[async_trait]
pub trait Bus: Publisher {
    /// Reads on from the durable's position; a new durable starts at the beginning of the stream. Readers of the same
    /// durable share its messages.
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError>;

    /// Reads at most `limit` messages of a subject that come after position `after`, oldest first, each with its
    /// position. Empty at the end of the stream.
    ///
    /// Affects no durable. Use it to rebuild from history what was lost elsewhere.
    async fn history(&self, subject: Subject, after: u64, limit: usize) -> Result<Vec<(u64, Message)>, BusError>;

    /// Reads at most `limit` dead letters that come after the dead letter `after`, oldest first. Empty at the end.
    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError>;

    /// Delivers a dead letter to the listener that rejected it, as if for the first time, and removes it from the dead
    /// letters. Returns false if there is none with this id.
    ///
    /// A crash in between may deliver it without removing it.
    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// Deletes a dead letter. Returns false if there is none with this id.
    async fn drop_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// Checks that the bus responds.
    async fn ping(&self) -> Result<(), BusError>;
}

/// One reader of a durable. Dropping it releases its unsettled deliveries to other readers.
#[async_trait]
pub trait Subscription: Send + Sync {
    /// Waits for messages and returns at most `limit` of them. Cancel safe: dropping the future loses no message.
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError>;

    /// Settles a delivery of this reader.
    ///
    /// An `Ack` may be lost in a crash; the message is then delivered again. A `Reject` is durable when this returns;
    /// an engine that cannot store the dead letter delivers the message again.
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError>;
}
