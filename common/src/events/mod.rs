//! The events that services publish: immutable facts, named in the past tense, each with its own type and subject.
//!
//! Payloads are a public contract. A test compares each with a golden JSON file in `common/tests/golden/`. A payload of
//! a different shape needs a new subject.

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
pub use orders::{OrderCancelled, OrderCompleted, OrderCreated, OrderRecord, OrderStatus, OrderUpdated, OrderedTicket};
pub use payments::{PaymentCreated, PaymentFailed, PaymentFailure, PaymentPending};
pub use tickets::{TicketCreated, TicketUpdated};

/// The kind of an event. The bus carries it under this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// `ticket:created`
    TicketCreated,
    /// `ticket:updated`
    TicketUpdated,
    /// `order:created`
    OrderCreated,
    /// `order:updated`
    OrderUpdated,
    /// `order:cancelled`
    OrderCancelled,
    /// `order:completed`
    OrderCompleted,
    /// `expiration:complete`
    ExpirationComplete,
    /// `payment:created`
    PaymentCreated,
    /// `payment:pending`
    PaymentPending,
    /// `payment:failed`
    PaymentFailed,
}

impl Subject {
    /// All subjects.
    pub const ALL: [Self; 10] = [
        Self::TicketCreated,
        Self::TicketUpdated,
        Self::OrderCreated,
        Self::OrderUpdated,
        Self::OrderCancelled,
        Self::OrderCompleted,
        Self::ExpirationComplete,
        Self::PaymentCreated,
        Self::PaymentPending,
        Self::PaymentFailed,
    ];

    /// The service that publishes it, if that has the records that the events announce and can announce them again.
    pub const fn publisher_with_records(self) -> Option<&'static str> {
        match self {
            Self::TicketCreated | Self::TicketUpdated => Some("tickets"),
            Self::OrderCreated | Self::OrderUpdated | Self::OrderCancelled | Self::OrderCompleted => Some("orders"),
            Self::PaymentCreated | Self::PaymentPending | Self::PaymentFailed => Some("payments"),
            Self::ExpirationComplete => None,
        }
    }

    /// The name on the bus: `order:created`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TicketCreated => "ticket:created",
            Self::TicketUpdated => "ticket:updated",
            Self::OrderCreated => "order:created",
            Self::OrderUpdated => "order:updated",
            Self::OrderCancelled => "order:cancelled",
            Self::OrderCompleted => "order:completed",
            Self::ExpirationComplete => "expiration:complete",
            Self::PaymentCreated => "payment:created",
            Self::PaymentPending => "payment:pending",
            Self::PaymentFailed => "payment:failed",
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

/// A fact that one service publishes and others handle.
pub trait Event: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The type of the record's id.
    type Id: RecordId;
    /// Its subject.
    const SUBJECT: Subject;

    /// The id of the record it is about.
    fn record_id(&self) -> Self::Id;

    /// The version of the record that it announces. Subject, record id and version together identify an event.
    fn version(&self) -> u64;
}
