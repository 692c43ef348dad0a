//! Copies of orders, which the orders service owns.

use common::clock::Timestamp;
use common::events::{OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderUpdated};
use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
use common::replica::Follow;
use common::store::{Entity, Schema};
use serde::{Deserialize, Serialize};

/// A copy of an order, written only by its events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderCopy {
    pub(crate) id: OrderId,
    /// The version of the order.
    pub(crate) version: u64,
    pub(crate) status: OrderStatus,
    /// The buyer.
    pub(crate) user_id: UserId,
    /// When the order can no longer be paid for.
    pub(crate) expires_at: Timestamp,
    #[serde(with = "common::money::as_cents")]
    pub(crate) price: Money,
    /// The ordered ticket. Copies made by former versions do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ticket_id: Option<TicketId>,
}

/// Why an order cannot be paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderRuleError {
    #[error("only the buyer may pay for the order")]
    NotTheBuyer,
    #[error("the order is cancelled")]
    Cancelled,
    #[error("the order is paid")]
    Paid,
    #[error("the order has expired")]
    Expired,
}

impl Entity for OrderCopy {
    type Id = OrderId;
    const SCHEMA: &'static Schema =
        &Schema { collection: "orders", indexes: &[], ids: &["userId", "ticketId"], times: &["expiresAt"] };

    fn id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl OrderCopy {
    /// Checks that `user` is the buyer.
    pub(crate) fn check_buyer(&self, user: UserId) -> Result<(), OrderRuleError> {
        if self.user_id == user { Ok(()) } else { Err(OrderRuleError::NotTheBuyer) }
    }

    /// Checks that the order can be paid for at `now`.
    pub(crate) fn check_payable(&self, now: Timestamp) -> Result<(), OrderRuleError> {
        match self.status {
            OrderStatus::Cancelled => Err(OrderRuleError::Cancelled),
            OrderStatus::Complete => Err(OrderRuleError::Paid),
            OrderStatus::Created | OrderStatus::AwaitingPayment if now >= self.expires_at => {
                Err(OrderRuleError::Expired)
            }
            OrderStatus::Created | OrderStatus::AwaitingPayment => Ok(()),
        }
    }

    /// Returns the copy with another `status`, or `None` if the order no longer allows it. A complete order can still be
    /// cancelled, because its payment failed.
    fn advanced(self, version: u64, status: OrderStatus) -> Option<Self> {
        match (self.status, status) {
            (OrderStatus::Created | OrderStatus::AwaitingPayment, _)
            | (OrderStatus::Complete, OrderStatus::Cancelled) => Some(Self { version, status, ..self }),
            (OrderStatus::Complete | OrderStatus::Cancelled, _) => None,
        }
    }
}

impl Follow<OrderCreated> for OrderCopy {
    fn follow(_before: Option<Self>, event: OrderCreated) -> Option<Self> {
        let OrderCreated { id, version, status, user_id, expires_at, ticket } = event;
        Some(Self { id, version, status, user_id, expires_at, price: ticket.price, ticket_id: Some(ticket.id) })
    }
}

impl Follow<OrderUpdated> for OrderCopy {
    fn follow(before: Option<Self>, event: OrderUpdated) -> Option<Self> {
        before?.advanced(event.version, event.status)
    }
}

impl Follow<OrderCancelled> for OrderCopy {
    fn follow(before: Option<Self>, event: OrderCancelled) -> Option<Self> {
        before?.advanced(event.version, OrderStatus::Cancelled)
    }
}

impl Follow<OrderCompleted> for OrderCopy {
    fn follow(before: Option<Self>, event: OrderCompleted) -> Option<Self> {
        before?.advanced(event.version, OrderStatus::Complete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    #[test]
    fn the_schema_names_existing_fields() {
        let order = OrderCopy {
            id: OrderId::generate(NOW),
            version: 0,
            status: OrderStatus::Created,
            user_id: UserId::generate(NOW),
            expires_at: NOW,
            price: Money::from_cents(1999),
            ticket_id: Some(TicketId::generate(NOW)),
        };
        assert_eq!(OrderCopy::SCHEMA.check(&order), Ok(()));
    }
}
