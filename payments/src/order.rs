//! Copies of orders, which the orders service owns.

use common::clock::Timestamp;
use common::events::{OrderRecord, OrderStatus};
use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
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
}

impl From<OrderRecord> for OrderCopy {
    fn from(order: OrderRecord) -> Self {
        let OrderRecord { id, version, status, user_id, expires_at, ticket } = order;
        Self { id, version, status, user_id, expires_at, price: ticket.price, ticket_id: Some(ticket.id) }
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
