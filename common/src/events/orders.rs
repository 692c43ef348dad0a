use std::ops::{Deref, DerefMut};

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

/// The ticket of an order, as it was when it was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderedTicket {
    /// The ticket.
    pub id: TicketId,
    /// The price to pay.
    pub price: Money,
}

/// An order after a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderRecord {
    /// The order.
    pub id: OrderId,
    /// Its version: 0 for a new order.
    pub version: u64,
    /// Its status.
    pub status: OrderStatus,
    /// The buyer.
    pub user_id: UserId,
    /// When the reservation ends unless the order is paid for.
    pub expires_at: Timestamp,
    /// The ordered ticket.
    pub ticket: OrderedTicket,
}

/// Events that carry the whole order.
macro_rules! order_events {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub OrderRecord);

        impl Deref for $name {
            type Target = OrderRecord;

            fn deref(&self) -> &OrderRecord {
                &self.0
            }
        }

        impl DerefMut for $name {
            fn deref_mut(&mut self) -> &mut OrderRecord {
                &mut self.0
            }
        }

        impl Event for $name {
            type Id = OrderId;
            const SUBJECT: Subject = Subject::$name;

            fn record_id(&self) -> OrderId {
                self.id
            }

            fn version(&self) -> u64 {
                self.version
            }
        }
    )*};
}

order_events! {
    /// A buyer reserved a ticket.
    OrderCreated;
    /// An order waits for a further step of its buyer, such as 3-D Secure.
    OrderUpdated;
    /// An order was cancelled: by its buyer, because it expired, or because its payment failed.
    OrderCancelled;
    /// An order was paid for: its ticket is sold.
    OrderCompleted;
}
