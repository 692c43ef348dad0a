//! The records of all services, with the fields that are compared.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::events::OrderStatus;
use common::ids::{OrderId, PaymentId, RecordId, TicketId, UserId};
use payments::PaymentStatus;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A stored record.
pub(super) trait Stored: DeserializeOwned {
    type Id: RecordId;

    fn id(&self) -> Self::Id;
    fn version(&self) -> u64;
}

/// Records by their ids, each with the time of its last write.
pub(super) type Records<T> = BTreeMap<<T as Stored>::Id, Written<T>>;

pub(super) struct Written<T> {
    pub(super) record: T,
    pub(super) at: Timestamp,
}

macro_rules! stored {
    ($($name:ident, $id:ident;)*) => {$(
        impl Stored for $name {
            type Id = $id;

            fn id(&self) -> $id {
                self.id
            }

            fn version(&self) -> u64 {
                self.version
            }
        }
    )*};
}

stored! {
    Ticket, TicketId;
    TicketCopy, TicketId;
    Order, OrderId;
    OrderCopy, OrderId;
    Payment, PaymentId;
    Other, UserId;
}

/// A ticket, at tickets.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Ticket {
    pub(super) id: TicketId,
    pub(super) version: u64,
    pub(super) title: String,
    /// In cents, like all prices and amounts.
    pub(super) price: u64,
    pub(super) user_id: UserId,
    pub(super) order_id: Option<OrderId>,
}

/// A copy of a ticket, at orders.
#[derive(Deserialize)]
pub(super) struct TicketCopy {
    pub(super) id: TicketId,
    pub(super) version: u64,
    pub(super) title: String,
    pub(super) price: u64,
}

/// An order, at orders.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Order {
    pub(super) id: OrderId,
    pub(super) version: u64,
    pub(super) user_id: UserId,
    pub(super) status: OrderStatus,
    pub(super) expires_at: Timestamp,
    /// As it was when it was ordered.
    pub(super) ticket: TicketCopy,
    pub(super) live_ticket_id: Option<TicketId>,
    pub(super) open: Option<String>,
}

/// A copy of an order, at payments.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct OrderCopy {
    pub(super) id: OrderId,
    pub(super) version: u64,
    pub(super) user_id: UserId,
    pub(super) status: OrderStatus,
    pub(super) expires_at: Timestamp,
    pub(super) price: u64,
    /// Absent in copies made by former versions.
    pub(super) ticket_id: Option<TicketId>,
}

/// A payment, at payments.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payment {
    pub(super) id: PaymentId,
    pub(super) version: u64,
    pub(super) order_id: OrderId,
    pub(super) status: PaymentStatus,
    pub(super) amount: u64,
    /// The intent at Stripe, `pi_…`.
    pub(super) stripe_id: Option<String>,
    pub(super) live_order_id: Option<OrderId>,
    pub(super) attempted_at: Timestamp,
}

/// A record of another kind, such as a user.
#[derive(Deserialize)]
pub(super) struct Other {
    /// All ids have the same form.
    id: UserId,
    version: u64,
}

impl Order {
    /// Whether it holds its ticket.
    pub(super) fn is_live(&self) -> bool {
        self.status != OrderStatus::Cancelled
    }

    /// Whether it expires unless it is paid for.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.status, OrderStatus::Created | OrderStatus::AwaitingPayment)
    }
}

impl Payment {
    /// Whether the system has to take a step at Stripe, or to learn of one.
    pub(super) fn is_in_flight(&self) -> bool {
        self.status.is_unsettled() && self.status != PaymentStatus::Stuck
    }
}
