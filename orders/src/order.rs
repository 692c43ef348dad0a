//! Orders and their rules.

use std::time::Duration;

use common::clock::Timestamp;
use common::events::{
    OrderCancelled, OrderCompleted, OrderCreated, OrderRecord, OrderStatus, OrderUpdated, OrderedTicket,
};
use common::ids::{OrderId, TicketId, UserId};
use common::store::{Entity, Index, IndexKind, Schema};
use serde::{Deserialize, Serialize};

use crate::ticket::TicketCopy;

/// A reservation of a ticket, and its outcome.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) version: u64,
    /// The buyer.
    pub(crate) user_id: UserId,
    pub(crate) status: OrderStatus,
    /// When the order expires unless it is complete by then.
    pub(crate) expires_at: Timestamp,
    /// The ticket as ordered. Its price is the price to pay, whatever happens to the ticket later.
    pub(crate) ticket: TicketCopy,
    /// The ticket's id, while the order is live. A unique index over this field prevents a second live order of the
    /// same ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live_ticket_id: Option<TicketId>,
    /// Set until the order ends. An index over this field finds overdue reservations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open: Option<Open>,
}

/// Marks an order that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Open {
    Yes,
}

impl Entity for Order {
    type Id = OrderId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "orders",
        indexes: &[
            Index { name: "orders_live_ticket", fields: &[Order::LIVE_TICKET], kind: IndexKind::Unique },
            Index { name: "orders_open", fields: &[Order::OPEN], kind: IndexKind::Plain },
            Index { name: "orders_by_user", fields: &[Order::USER], kind: IndexKind::Plain },
        ],
        ids: &[Order::USER, "ticket.id", Order::LIVE_TICKET],
        times: &["expiresAt"],
    };

    fn id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// Why an order does not allow an operation.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OrderRuleError {
    #[error("only the buyer may see or cancel the order")]
    NotTheBuyer,
    #[error("the order is complete")]
    Complete,
    #[error("the order does not expire for another {0:?}")]
    NotExpired(Duration),
}

impl Order {
    pub(crate) const LIVE_TICKET: &'static str = "liveTicketId";
    pub(crate) const USER: &'static str = "userId";
    pub(crate) const OPEN: &'static str = "open";
    /// The value of [`OPEN`](Self::OPEN).
    pub(crate) const YES: &'static str = "yes";

    /// Reserves a ticket for the duration `reservation`.
    pub(crate) fn place(
        buyer: UserId,
        ticket: TicketCopy,
        now: Timestamp,
        reservation: Duration,
    ) -> (Self, OrderCreated) {
        let order = Self {
            id: OrderId::generate(now),
            version: 0,
            user_id: buyer,
            status: OrderStatus::Created,
            expires_at: now.plus(reservation),
            live_ticket_id: Some(ticket.id),
            open: Some(Open::Yes),
            ticket,
        };
        let event = OrderCreated(order.record());
        (order, event)
    }

    /// Checks that `user` is the buyer.
    pub(crate) fn check_buyer(&self, user: UserId) -> Result<(), OrderRuleError> {
        if self.user_id == user { Ok(()) } else { Err(OrderRuleError::NotTheBuyer) }
    }

    /// Cancels the order for its buyer. Returns `None` if it is already cancelled.
    pub(crate) fn cancel(&mut self) -> Result<Option<OrderCancelled>, OrderRuleError> {
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => Ok(Some(self.mark_cancelled())),
            OrderStatus::Cancelled => Ok(None),
            OrderStatus::Complete => Err(OrderRuleError::Complete),
        }
    }

    /// Cancels the order if it has expired at `now`. Returns `None` if it is already cancelled or complete.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Result<Option<OrderCancelled>, OrderRuleError> {
        if now < self.expires_at {
            return Err(OrderRuleError::NotExpired(self.expires_at.since(now)));
        }
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => Ok(Some(self.mark_cancelled())),
            OrderStatus::Cancelled | OrderStatus::Complete => Ok(None),
        }
    }

    /// Waits for a further step of the buyer. Returns `None` if the order already waits or has ended.
    pub(crate) fn await_payment(&mut self) -> Option<OrderUpdated> {
        match self.status {
            OrderStatus::Created => {}
            OrderStatus::AwaitingPayment | OrderStatus::Complete | OrderStatus::Cancelled => return None,
        }
        self.status = OrderStatus::AwaitingPayment;
        self.version += 1;
        Some(OrderUpdated(self.record()))
    }

    /// Cancels the order because its payment failed, even if it is complete. Returns `None` if it is already cancelled.
    pub(crate) fn revoke(&mut self) -> Option<OrderCancelled> {
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment | OrderStatus::Complete => Some(self.mark_cancelled()),
            OrderStatus::Cancelled => None,
        }
    }

    /// Completes the order once its payment is authorised. Returns `None` if it is already complete or cancelled:
    /// a cancelled order never completes.
    pub(crate) fn complete(&mut self) -> Option<OrderCompleted> {
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => {}
            OrderStatus::Complete | OrderStatus::Cancelled => return None,
        }
        self.status = OrderStatus::Complete;
        self.open = None;
        self.version += 1;
        Some(OrderCompleted(self.record()))
    }

    fn mark_cancelled(&mut self) -> OrderCancelled {
        self.status = OrderStatus::Cancelled;
        self.live_ticket_id = None;
        self.open = None;
        self.version += 1;
        OrderCancelled(self.record())
    }

    /// The order as its events carry it.
    fn record(&self) -> OrderRecord {
        OrderRecord {
            id: self.id,
            version: self.version,
            status: self.status,
            user_id: self.user_id,
            expires_at: self.expires_at,
            ticket: OrderedTicket { id: self.ticket.id, price: self.ticket.price },
        }
    }
}

#[cfg(test)]
mod tests {
    use common::money::Money;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn order() -> Order {
        let ticket = TicketCopy {
            id: TicketId::generate(NOW),
            version: 3,
            title: "Concert".into(),
            price: Money::from_cents(1),
        };
        Order::place(UserId::generate(NOW), ticket, NOW, Duration::from_secs(900)).0
    }

    #[test]
    fn a_new_order_lasts_for_the_reservation_time() {
        assert_eq!(order().expires_at, Timestamp::from_millis(900_000));
    }

    #[test]
    fn the_schema_names_existing_fields() {
        assert_eq!(Order::SCHEMA.check(&order()), Ok(()));
    }

    #[test]
    fn an_order_expires_at_its_time_and_not_before() {
        let (mut order, end) = (order(), Timestamp::from_millis(900_000));
        let early = Timestamp::from_millis(899_999);
        assert_eq!(order.expire(early), Err(OrderRuleError::NotExpired(Duration::from_millis(1))));
        assert_eq!(order.expire(end).unwrap().unwrap().version, 1);
        assert_eq!(order.expire(end), Ok(None));
    }

    #[test]
    fn an_order_waits_for_its_buyer_once_and_only_before_it_ends() {
        let mut order = order();
        let event = order.await_payment().unwrap();
        assert_eq!((event.version, event.status), (1, OrderStatus::AwaitingPayment));
        assert_eq!(order.await_payment(), None);
        assert_eq!(order.complete().unwrap().version, 2);
        assert_eq!(order.await_payment(), None);
    }

    #[test]
    fn a_failed_payment_cancels_even_a_complete_order_once() {
        let mut order = order();
        order.complete().unwrap();
        assert_eq!(order.revoke().unwrap().version, 2);
        assert_eq!((order.status, order.live_ticket_id), (OrderStatus::Cancelled, None));
        assert_eq!(order.revoke(), None);
        assert_eq!(order.complete(), None);
    }

    proptest! {
        /// Of any sequence of payments and cancellations the first decides. A change is one version and one event. The
        /// ticket is held until the order is cancelled.
        #[test]
        fn the_first_decision_stands(payments in prop::collection::vec(any::<bool>(), 0..8)) {
            let mut order = order();
            let mut events = 0;
            for is_payment in &payments {
                events += if *is_payment {
                    order.complete().into_iter().count()
                } else {
                    order.cancel().ok().flatten().into_iter().count()
                };
            }
            let expected = match payments.first() {
                None => OrderStatus::Created,
                Some(true) => OrderStatus::Complete,
                Some(false) => OrderStatus::Cancelled,
            };
            prop_assert_eq!(order.status, expected);
            prop_assert_eq!(events, usize::from(!payments.is_empty()));
            prop_assert_eq!(order.version, events as u64);
            prop_assert_eq!(order.open.is_some(), payments.is_empty());
            prop_assert_eq!(order.live_ticket_id.is_some(), order.status != OrderStatus::Cancelled);
        }
    }
}
