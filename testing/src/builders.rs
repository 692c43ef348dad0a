//! Builders of events, as the other services would publish them.
//!
//! Every builder returns a plausible event with fresh ids. Override the fields a test cares about:
//!
//! ```
//! # use common::clock::Timestamp;
//! # use common::ids::UserId;
//! # use testing::builders::{order_cancelled, order_created};
//! # let now = Timestamp::from_millis(1_769_860_800_000);
//! # let buyer = UserId::generate(now);
//! let mut order = order_created(now);
//! order.user_id = buyer;
//! let cancelled = order_cancelled(&order);
//! assert_eq!((cancelled.id, cancelled.version), (order.id, 1));
//! ```

use std::time::Duration;

use common::clock::Timestamp;
use common::events::{
    Event, Message, OrderCancelled, OrderCompleted, OrderCreated, OrderRecord, OrderStatus, OrderUpdated,
    OrderedTicket, PaymentCreated, PaymentFailed, PaymentFailure, PaymentPending, TicketCreated, TicketUpdated,
};
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::money::Money;

/// How long after its creation an [`order_created`] expires.
pub const RESERVATION: Duration = Duration::from_secs(900);

/// A new ticket: "Concert" for $19.99.
pub fn ticket_created(now: Timestamp) -> TicketCreated {
    TicketCreated {
        id: TicketId::generate(now),
        version: 0,
        title: "Concert".into(),
        price: Money::from_cents(1999),
        user_id: UserId::generate(now),
    }
}

/// Version 1 of a ticket, not reserved and otherwise unchanged.
pub fn ticket_updated(ticket: &TicketCreated) -> TicketUpdated {
    TicketUpdated {
        id: ticket.id,
        version: ticket.version + 1,
        title: ticket.title.clone(),
        price: ticket.price,
        user_id: ticket.user_id,
        order_id: None,
    }
}

/// A new order of a ticket for $19.99. It expires after [`RESERVATION`].
pub fn order_created(now: Timestamp) -> OrderCreated {
    OrderCreated(OrderRecord {
        id: OrderId::generate(now),
        version: 0,
        status: OrderStatus::Created,
        user_id: UserId::generate(now),
        expires_at: now.plus(RESERVATION),
        ticket: OrderedTicket { id: TicketId::generate(now), price: Money::from_cents(1999) },
    })
}

/// Version 1 of an order: waiting for a further step of its buyer.
pub fn order_updated(order: &OrderCreated) -> OrderUpdated {
    OrderUpdated(next_version(order, OrderStatus::AwaitingPayment))
}

/// Version 1 of an order: cancelled by its buyer, or expired.
pub fn order_cancelled(order: &OrderCreated) -> OrderCancelled {
    OrderCancelled(next_version(order, OrderStatus::Cancelled))
}

/// Version 1 of an order: paid for.
pub fn order_completed(order: &OrderCreated) -> OrderCompleted {
    OrderCompleted(next_version(order, OrderStatus::Complete))
}

fn next_version(order: &OrderCreated, status: OrderStatus) -> OrderRecord {
    OrderRecord { version: order.version + 1, status, ..order.0.clone() }
}

/// An authorised payment for an order.
pub fn payment_created(now: Timestamp, order_id: OrderId) -> PaymentCreated {
    PaymentCreated { id: PaymentId::generate(now), order_id, stripe_id: "pi_1".into() }
}

/// A payment for an order that requires a further step of its buyer.
pub fn payment_pending(now: Timestamp, order_id: OrderId) -> PaymentPending {
    PaymentPending { id: PaymentId::generate(now), order_id }
}

/// An announced payment that failed for this reason.
pub fn payment_failed(payment: &PaymentCreated, reason: PaymentFailure) -> PaymentFailed {
    PaymentFailed { id: payment.id, order_id: payment.order_id, reason }
}

/// The message that carries an event on the bus.
///
/// # Panics
///
/// If the event cannot be serialised.
pub fn message<E: Event>(event: &E) -> Message {
    Message::new(event).expect("an event that can be serialised")
}
