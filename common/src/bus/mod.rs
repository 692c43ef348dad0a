//! The bus: every event reaches every listener at least once, after a crash as well.
//!
//! [`Bus`] is the port, [`sqlite`] its embedded engine, `nats` the one that services on several machines share. Services
//! implement [`Listener`] and see none of them; what they publish goes through the outbox (see [`crate::outbox`]).

#[cfg(feature = "testing")]
pub mod contract;
mod listener;
#[cfg(feature = "spread")]
pub mod nats;
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;

use crate::events::{Event, Subject};
use crate::trace::TraceParent;

pub use listener::{ListenError, Listener, Listeners, MAX_IN_FLIGHT, RegisteredListener};

/// An event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The same however often it is sent: `<subject>/<record id>/<version>`.
    pub id: String,
    /// What it is about.
    pub subject: Subject,
    /// The event as JSON.
    pub payload: String,
    /// The request that caused it.
    pub traceparent: Option<TraceParent>,
}

impl Message {
    /// Puts an event under way, in the trace context of the code that calls.
    pub fn of<E: Event>(event: &E) -> Self {
        Self {
            id: format!("{}/{}", E::SUBJECT, event.key()),
            subject: E::SUBJECT,
            // Events are plain structs: there is nothing in them that JSON can not say.
            payload: serde_json::to_string(event).unwrap_or_default(),
            traceparent: TraceParent::current(),
        }
    }
}

/// A place in a stream that outlives its readers: one per service and subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable {
    /// `<service>_<subject with - for :>`.
    pub name: &'static str,
    /// What it reads.
    pub subject: Subject,
}

/// A message handed to one of a durable's readers, to be settled by it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// How the engine finds it again.
    pub token: u64,
    /// How often it has been delivered, this time included.
    pub attempt: u32,
    /// What was published.
    pub message: Message,
}

/// What becomes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Done; never deliver it to this durable again.
    Ack,
    /// Not now; deliver it again after the delay.
    Retry(Duration),
    /// Never; put it aside with the reason.
    Reject(String),
}

/// A message that a listener rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it among those that are there; the engine's choice.
    pub id: String,
    /// The durable that rejected it.
    pub listener: String,
    /// Why.
    pub reason: String,
    /// How often it had been delivered.
    pub attempts: u32,
    /// What was published.
    pub message: Message,
}

/// Why the bus could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// It can not be reached or written, now.
    #[error("the bus is unavailable: {0}")]
    Unavailable(String),
    /// It is not ours to use, or not as it was asked for; waiting does not heal that.
    #[error("the bus can not be used: {0}")]
    Unusable(String),
}

impl BusError {
    /// Whether it may heal by itself.
    #[cfg(feature = "spread")]
    pub(crate) fn heals(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The port: a retained, ordered stream of messages, read by durables.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Appends messages in this order and returns once they are durable. A message whose id is already there is
    /// dropped, so repeating is harmless.
    async fn publish(&self, messages: &[Message]) -> Result<(), BusError>;

    /// Reads on from where the durable stands; a new one starts at the beginning of the stream. Several readers of
    /// one durable share its messages.
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError>;

    /// Reads what was published on a subject, the oldest first: of that, what comes after the position `after`, at most
    /// `limit`, each with its position. Empty once there are no more.
    ///
    /// No durable takes part in it: this is for making anew from history what was lost elsewhere.
    async fn history(&self, subject: Subject, after: u64, limit: usize) -> Result<Vec<(u64, Message)>, BusError>;

    /// What listeners rejected, the oldest first: of that, what comes after the dead letter `after`, at most `limit`.
    /// Empty once there are no more.
    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError>;

    /// Delivers a dead letter as if for the first time, to the listener that rejected it and to no other, and puts it
    /// aside no longer. False when there is none of this id. Cut off in between, it may do the first without the second.
    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// Forgets a dead letter for good. False when there is none of this id.
    async fn drop_dead_letter(&self, id: &str) -> Result<bool, BusError>;

    /// Whether the bus answers.
    async fn ping(&self) -> Result<(), BusError>;
}

/// One reader of a durable. Dropping it hands what it has not settled to the other readers, or to the next.
#[async_trait]
pub trait Subscription: Send + Sync {
    /// Waits until there is something to deliver and returns at most `limit` of it. Giving up waiting loses nothing.
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError>;

    /// Says what becomes of a delivery of this reader. An `Ack` may be lost in a crash: then it is delivered again.
    /// A `Reject` is durable when this returns; an engine that can not put the message aside delivers it again.
    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError>;
}
