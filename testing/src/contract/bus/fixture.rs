//! Numbered messages, and readers for them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, Delivery, Durable, HistoryStart, Page, Subscription, Verdict};
use common::events::{Message, Subject};

use futures_util::TryStreamExt;

use crate::contract::harness::Data;
use crate::wait::soon;

/// The durable that most cases read.
pub const TICKETS: Durable = Durable { name: "tickets_order-created", subject: Subject::OrderCreated };

/// Another durable of the same subject.
pub(super) const PAYMENTS: Durable = Durable { name: "payments_order-created", subject: Subject::OrderCreated };

/// A durable of another subject.
pub(super) const CANCELLED: Durable = Durable { name: "tickets_order-cancelled", subject: Subject::OrderCancelled };

/// A retry delay longer than any case takes.
pub(super) const LONG: Duration = Duration::from_secs(3600);

/// Opens the bus with a reader of [`TICKETS`].
pub(super) async fn open(data: &dyn Data<dyn Bus>) -> (Arc<dyn Bus>, Box<dyn Subscription>) {
    let bus = data.open().await;
    let reader = subscribe(&*bus, TICKETS).await;
    (bus, reader)
}

pub(super) async fn subscribe(bus: &dyn Bus, durable: Durable) -> Box<dyn Subscription> {
    bus.subscribe(durable).await.expect("subscribe")
}

/// A message whose payload is its number.
pub fn message(number: u32) -> Message {
    Message {
        id: format!("order:created/{number}/0"),
        subject: Subject::OrderCreated,
        payload: number.to_string(),
        traceparent: None,
    }
}

/// Messages with these numbers.
pub fn messages(numbers: Range<u32>) -> Vec<Message> {
    numbers.map(message).collect()
}

/// The number of a [`message`].
pub fn number(delivery: &Delivery) -> u32 {
    delivery.message.payload.parse().expect("a number")
}

pub(super) fn numbers(deliveries: &[Delivery]) -> Vec<u32> {
    deliveries.iter().map(number).collect()
}

pub(super) async fn publish(bus: &dyn Bus, numbers: Range<u32>) {
    bus.publish(&messages(numbers)).await.expect("publish");
}

/// Waits for exactly `count` deliveries.
pub async fn take(reader: &dyn Subscription, count: usize) -> Vec<Delivery> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(soon("a delivery", reader.next(count - taken.len())).await.expect("next"));
    }
    taken
}

/// Waits for one delivery.
pub async fn take_one(reader: &dyn Subscription) -> Delivery {
    take(reader, 1).await.remove(0)
}

pub(super) async fn settle(reader: &dyn Subscription, delivery: &Delivery, verdict: Verdict) {
    reader.settle(delivery, verdict).await.expect("settle");
}

pub(super) async fn ack(reader: &dyn Subscription, delivery: &Delivery) {
    settle(reader, delivery, Verdict::Ack).await;
}

/// Takes and rejects the next `count` messages.
pub(super) async fn reject(reader: &dyn Subscription, count: usize) {
    for delivery in take(reader, count).await {
        settle(reader, &delivery, Verdict::Reject("never".into())).await;
    }
}

/// Every [`message`] that the stream has.
pub async fn history(bus: &dyn Bus) -> Vec<Message> {
    let pages = bus.history(&[Subject::OrderCreated], HistoryStart::After(0));
    let all: Page = pages.try_concat().await.expect("history");
    all.into_iter().map(|(_, message)| message).collect()
}
