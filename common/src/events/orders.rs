use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::clock::Timestamp;
use crate::ids::{OrderId, TicketId, UserId};
use crate::money::Money;

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    /// The ticket is reserved, nothing is paid.
    #[serde(rename = "created")]
    Created,
    /// The buyer's card asks for a further step.
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    /// Paid for. Final.
    #[serde(rename = "complete")]
    Complete,
    /// Given up by its buyer or by time. Final.
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// The ticket of a new order, as it was when ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTicket {
    /// The ticket.
    pub id: TicketId,
    /// The price to pay, in dollars on the wire.
    pub price: Money,
}

/// The ticket an event is about, by its id alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketRef {
    /// The ticket.
    pub id: TicketId,
}

/// Somebody reserved a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// The order.
    pub id: OrderId,
    /// Always 0.
    pub version: u64,
    /// Always [`OrderStatus::Created`].
    pub status: OrderStatus,
    /// Who buys.
    pub user_id: UserId,
    /// When the reservation ends unless paid.
    pub expires_at: Timestamp,
    /// What is bought.
    pub ticket: OrderedTicket,
}

impl Event for OrderCreated {
    const SUBJECT: Subject = Subject::OrderCreated;

    fn key(&self) -> String {
        format!("{}/{}", self.id, self.version)
    }
}

/// An order was cancelled, by its buyer or by time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// The order.
    pub id: OrderId,
    /// One more than before.
    pub version: u64,
    /// The ticket it had reserved.
    pub ticket: TicketRef,
}

impl Event for OrderCancelled {
    const SUBJECT: Subject = Subject::OrderCancelled;

    fn key(&self) -> String {
        format!("{}/{}", self.id, self.version)
    }
}

/// An order was paid for: its ticket is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCompleted {
    /// The order.
    pub id: OrderId,
    /// One more than before.
    pub version: u64,
    /// The ticket that is sold.
    pub ticket: TicketRef,
}

impl Event for OrderCompleted {
    const SUBJECT: Subject = Subject::OrderCompleted;

    fn key(&self) -> String {
        format!("{}/{}", self.id, self.version)
    }
}
