//! A model of the orders service, for one order.

use common::events::{OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderUpdated, Subject};
use serde_json::Value;
use testing::builders::{order_cancelled, order_completed, order_updated};

/// An event that the payments service has not acknowledged.
#[derive(Clone, Debug)]
pub(crate) enum OrderEvent {
    Created(OrderCreated),
    Updated(OrderUpdated),
    Cancelled(OrderCancelled),
    Completed(OrderCompleted),
}

/// The order, and its events on their way.
pub(crate) struct Orders {
    pub(crate) order: OrderCreated,
    pub(crate) status: OrderStatus,
    version: u64,
    pub(crate) events: Vec<OrderEvent>,
    /// All events so far.
    published: Vec<OrderEvent>,
    /// Whether an order whose payment cannot be captured is kept.
    keep: bool,
    /// Whether a complete order was kept although its payment had failed.
    pub(crate) is_kept_unpaid: bool,
}

impl Orders {
    pub(crate) fn new(order: OrderCreated, keep: bool) -> Self {
        let published = vec![OrderEvent::Created(order.clone())];
        let events = published.clone();
        Self { order, status: OrderStatus::Created, version: 0, events, published, keep, is_kept_unpaid: false }
    }

    /// All events so far will be delivered again.
    pub(crate) fn repeat_events(&mut self) {
        self.events = self.published.clone();
    }

    /// Handles an event of the payments service, perhaps not for the first time.
    pub(crate) fn handle(&mut self, subject: Subject, payload: &Value) {
        match subject {
            Subject::PaymentCreated if self.is_open() => {
                self.advance(OrderStatus::Complete);
                let mut event = order_completed(&self.order);
                event.version = self.version;
                self.publish(OrderEvent::Completed(event));
            }
            Subject::PaymentPending if self.status == OrderStatus::Created => {
                self.advance(OrderStatus::AwaitingPayment);
                let mut event = order_updated(&self.order);
                event.version = self.version;
                self.publish(OrderEvent::Updated(event));
            }
            Subject::PaymentFailed if self.keep && payload["reason"] == "capture_failed" => self.is_kept_unpaid = true,
            Subject::PaymentFailed if self.status != OrderStatus::Cancelled => self.mark_cancelled(),
            _ => {}
        }
    }

    /// The buyer cancels, or the order expires.
    pub(crate) fn cancel(&mut self) {
        if self.is_open() {
            self.mark_cancelled();
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.status, OrderStatus::Created | OrderStatus::AwaitingPayment)
    }

    fn mark_cancelled(&mut self) {
        self.advance(OrderStatus::Cancelled);
        let mut event = order_cancelled(&self.order);
        event.version = self.version;
        self.publish(OrderEvent::Cancelled(event));
    }

    fn publish(&mut self, event: OrderEvent) {
        self.published.push(event.clone());
        self.events.push(event);
    }

    fn advance(&mut self, status: OrderStatus) {
        self.status = status;
        self.version += 1;
    }
}
