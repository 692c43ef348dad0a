//! The events that services publish: immutable facts in the past tense, one type and one subject each.
//!
//! Payloads are a public contract. Each is compared with a golden JSON file in `common/tests/golden/`; a payload of
//! another shape needs a new subject.

mod expiration;
mod message;
mod orders;
mod payments;
mod tickets;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ids::RecordId;

pub use expiration::ExpirationComplete;
pub use message::{Announcement, Message};
pub use orders::{OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderedTicket, TicketRef};
pub use payments::PaymentCreated;
pub use tickets::{TicketCreated, TicketUpdated};

/// The kind of an event, and the name it is published under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// `ticket:created`
    TicketCreated,
    /// `ticket:updated`
    TicketUpdated,
    /// `order:created`
    OrderCreated,
    /// `order:cancelled`
    OrderCancelled,
    /// `order:completed`
    OrderCompleted,
    /// `expiration:complete`
    ExpirationComplete,
    /// `payment:created`
    PaymentCreated,
}

impl Subject {
    /// All subjects.
    pub const ALL: [Self; 7] = [
        Self::TicketCreated,
        Self::TicketUpdated,
        Self::OrderCreated,
        Self::OrderCancelled,
        Self::OrderCompleted,
        Self::ExpirationComplete,
        Self::PaymentCreated,
    ];

    /// The name used on the bus: `order:created`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TicketCreated => "ticket:created",
            Self::TicketUpdated => "ticket:updated",
            Self::OrderCreated => "order:created",
            Self::OrderCancelled => "order:cancelled",
            Self::OrderCompleted => "order:completed",
            Self::ExpirationComplete => "expiration:complete",
            Self::PaymentCreated => "payment:created",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error of parsing a [`Subject`].
#[derive(Debug, thiserror::Error)]
#[error("unknown subject {0:?}")]
pub struct UnknownSubject(String);

impl FromStr for Subject {
    type Err = UnknownSubject;

    fn from_str(name: &str) -> Result<Self, UnknownSubject> {
        Self::ALL.into_iter().find(|subject| subject.as_str() == name).ok_or_else(|| UnknownSubject(name.to_owned()))
    }
}

/// A fact that one service publishes and others listen to.
pub trait Event: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The id of the record it describes.
    type Id: RecordId;
    /// The subject it is published on.
    const SUBJECT: Subject;

    /// The record it describes.
    fn record_id(&self) -> Self::Id;

    /// The version of that record it announces. Together with the id and the subject this identifies the event.
    fn version(&self) -> u64;
}
