use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::clock::Timestamp;
use crate::ids::{OrderId, TicketId, UserId};
use crate::money::Money;

/// The state of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OrderStatus {
    /// The ticket is reserved and not paid for.
    #[serde(rename = "created")]
    Created,
    /// The buyer's bank requires a further step.
    #[serde(rename = "awaiting:payment")]
    AwaitingPayment,
    /// Paid for. Cancelled later only if the payment fails.
    #[serde(rename = "complete")]
    Complete,
    /// Cancelled by the buyer, expired, or its payment failed. Final.
    #[serde(rename = "cancelled")]
    Cancelled,
}

/// The ticket of a new order, as it was at that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTicket {
    /// The ticket.
    pub id: TicketId,
    /// The price to pay.
    pub price: Money,
}

/// A reference to a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketRef {
    /// The ticket.
    pub id: TicketId,
}

/// A buyer reserved a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCreated {
    /// The order.
    pub id: OrderId,
    /// Always 0.
    pub version: u64,
    /// Always [`OrderStatus::Created`].
    pub status: OrderStatus,
    /// The buyer.
    pub user_id: UserId,
    /// When the reservation ends unless the order is paid for.
    pub expires_at: Timestamp,
    /// The reserved ticket.
    pub ticket: OrderedTicket,
}

impl Event for OrderCreated {
    type Id = OrderId;
    const SUBJECT: Subject = Subject::OrderCreated;

    fn record_id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// An order waits for a further step of its buyer, such as 3-D Secure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderUpdated {
    /// The order.
    pub id: OrderId,
    /// The version after the change.
    pub version: u64,
    /// Always [`OrderStatus::AwaitingPayment`].
    pub status: OrderStatus,
    /// The buyer.
    pub user_id: UserId,
    /// When the reservation ends unless the order is paid for.
    pub expires_at: Timestamp,
    /// The reserved ticket.
    pub ticket: OrderedTicket,
}

impl Event for OrderUpdated {
    type Id = OrderId;
    const SUBJECT: Subject = Subject::OrderUpdated;

    fn record_id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// An order was cancelled: by its buyer, because it expired, or because its payment failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCancelled {
    /// The order.
    pub id: OrderId,
    /// The version after the change.
    pub version: u64,
    /// The released ticket.
    pub ticket: TicketRef,
}

impl Event for OrderCancelled {
    type Id = OrderId;
    const SUBJECT: Subject = Subject::OrderCancelled;

    fn record_id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// An order was paid for: its ticket is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCompleted {
    /// The order.
    pub id: OrderId,
    /// The version after the change.
    pub version: u64,
    /// The sold ticket.
    pub ticket: TicketRef,
}

impl Event for OrderCompleted {
    type Id = OrderId;
    const SUBJECT: Subject = Subject::OrderCompleted;

    fn record_id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}
