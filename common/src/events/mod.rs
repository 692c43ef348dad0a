//! What the services tell each other: one immutable fact a type, in the past tense, one subject each.
//!
//! The payloads are public (see ARCHITECTURE.md) and compared with a golden JSON file each (`common/tests/golden/`): a changed shape
//! is a new subject.

mod expiration;
mod orders;
mod payments;
mod tickets;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use expiration::ExpirationComplete;
pub use orders::{OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderedTicket, TicketRef};
pub use payments::PaymentCreated;
pub use tickets::{TicketCreated, TicketUpdated};

/// What an event is about, and the name it travels under.
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
    /// Every subject there is.
    pub const ALL: [Self; 7] = [
        Self::TicketCreated,
        Self::TicketUpdated,
        Self::OrderCreated,
        Self::OrderCancelled,
        Self::OrderCompleted,
        Self::ExpirationComplete,
        Self::PaymentCreated,
    ];

    /// The name on the wire.
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

/// Why a text names no [`Subject`].
#[derive(Debug, thiserror::Error)]
#[error("no subject is called {0:?}")]
pub struct UnknownSubject(String);

impl FromStr for Subject {
    type Err = UnknownSubject;

    fn from_str(name: &str) -> Result<Self, UnknownSubject> {
        Self::ALL.into_iter().find(|subject| subject.as_str() == name).ok_or_else(|| UnknownSubject(name.to_owned()))
    }
}

/// A fact that one service publishes and others listen to.
pub trait Event: Serialize + DeserializeOwned + fmt::Debug + Send + Sync + 'static {
    /// The subject it is published on.
    const SUBJECT: Subject;

    /// The record it is about and the version of that record it announces: `<record id>/<version>`.
    ///
    /// With the subject in front it is the message id, the same however often the event is sent, so that a broker
    /// can drop repeats.
    fn key(&self) -> String;
}
