//! Delivery of published messages: content, recipients and order.

use common::bus::{Bus, Receipt};
use common::events::{Message, Subject};
use common::trace::TraceParent;
use futures_util::future::join_all;

use super::fixture::{
    CANCELLED, PAYMENTS, TICKETS, ack, message, messages, number, numbers, open, publish, subscribe, take,
};
use crate::contract::harness::Data;
use crate::wait::soon;

/// Id, subject, payload and trace context arrive unchanged, on the first attempt.
pub async fn a_published_message_is_delivered_unchanged(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let payload = format!("{{\"title\": \"é 🎭 \\\" {}\"}}", "x".repeat(90_000));
    let traced = Message { payload, traceparent: Some(TraceParent::generate()), ..message(1) };
    let untraced = Message { traceparent: None, ..message(2) };
    bus.publish(&[traced.clone(), untraced.clone()]).await.expect("publish");
    let reader = subscribe(&*bus, TICKETS).await;
    let deliveries = take(&*reader, 2).await;
    assert_eq!(deliveries.iter().map(|delivery| delivery.attempt).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(deliveries.into_iter().map(|delivery| delivery.message).collect::<Vec<_>>(), [traced, untraced]);
    bus.ping().await.expect("ping");
}

/// A reader that is already waiting gets a message published later.
pub async fn publishing_wakes_a_waiting_reader(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    let publish = async {
        tokio::task::yield_now().await;
        publish(&*bus, 1..2).await;
    };
    let (deliveries, ()) = tokio::join!(take(&*reader, 1), publish);
    assert_eq!(numbers(&deliveries), [1]);
}

/// The only reader of a durable gets the messages of its subject, and no others, in the order of publication.
pub async fn a_reader_gets_its_subject_in_order(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    for number in 0..100 {
        let other = Message { id: format!("other {number}"), subject: Subject::OrderCancelled, ..message(number) };
        bus.publish(&[message(number), other]).await.expect("publish");
    }
    let mut seen = Vec::new();
    while seen.len() < 100 {
        for delivery in soon("a delivery", reader.next(7)).await.expect("next") {
            assert_eq!(delivery.message.subject, Subject::OrderCreated);
            seen.push(number(&delivery));
            ack(&*reader, &delivery).await;
        }
    }
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    let others = subscribe(&*bus, CANCELLED).await;
    assert_eq!(numbers(&take(&*others, 100).await), seen);
}

/// Durables of the same subject have independent positions.
pub async fn every_durable_gets_every_message(data: &dyn Data<dyn Bus>) {
    let (bus, tickets) = open(data).await;
    let payments = subscribe(&*bus, PAYMENTS).await;
    publish(&*bus, 0..10).await;
    for delivery in take(&*tickets, 10).await {
        ack(&*tickets, &delivery).await;
    }
    assert_eq!(numbers(&take(&*payments, 10).await), (0..10).collect::<Vec<_>>());
}

/// A new durable gets everything published before it existed, even if other durables have settled it.
pub async fn a_new_durable_starts_at_the_beginning(data: &dyn Data<dyn Bus>) {
    let (bus, tickets) = open(data).await;
    publish(&*bus, 0..10).await;
    for delivery in take(&*tickets, 10).await {
        ack(&*tickets, &delivery).await;
    }
    drop((tickets, bus));
    let bus = data.open().await;
    let payments = subscribe(&*bus, PAYMENTS).await;
    publish(&*bus, 10..12).await;
    assert_eq!(numbers(&take(&*payments, 12).await), (0..12).collect::<Vec<_>>());
}

/// Publishing an id again has no effect: in the same batch, later, concurrently or after reopening.
pub async fn a_repeated_message_is_dropped(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    bus.publish(&[message(1), message(1), message(2)]).await.expect("publish");
    bus.publish(&[message(1), message(3)]).await.expect("publish");
    join_all((0..10).map(|_| publish(&*bus, 4..5))).await;
    drop(bus);
    let bus = data.open().await;
    bus.publish(&[message(2), message(4), message(5)]).await.expect("publish");
    let reader = subscribe(&*bus, TICKETS).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&5) {
        seen.extend(numbers(&soon("a delivery", reader.next(10)).await.expect("next")));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5]);
}

/// A thousand messages published together arrive in their order. An empty batch is allowed.
pub async fn a_batch_is_delivered_in_full_and_in_order(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    bus.publish(&[]).await.expect("publish");
    publish(&*bus, 0..1000).await;
    let reader = subscribe(&*bus, TICKETS).await;
    let mut seen = Vec::new();
    while seen.len() < 1000 {
        let deliveries = soon("a delivery", reader.next(64)).await.expect("next");
        assert!((1..=64).contains(&deliveries.len()));
        seen.extend(numbers(&deliveries));
        join_all(deliveries.iter().map(|delivery| ack(&*reader, delivery))).await;
    }
    assert_eq!(seen, (0..1000).collect::<Vec<_>>());
}

/// The receipt of a batch is that of its last message, also if the message was published before.
pub async fn a_receipt_says_where_the_last_message_is(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    let publish = async |numbers| bus.publish(&messages(numbers)).await.expect("publish");
    assert_eq!(publish(0..0).await, None);
    let first = publish(0..3).await.expect("a receipt");
    let second = publish(3..5).await.expect("a receipt");
    assert_eq!([&first, &second].map(|receipt| &*receipt.message_id), ["order:created/2/0", "order:created/4/0"]);
    assert!(first.position < second.position, "{first:?} {second:?}");
    assert_eq!(publish(0..3).await, Some(first.clone()));
    let next = Receipt { position: second.position + 1, ..second.clone() };
    let other = Receipt { position: first.position, ..second.clone() };
    for (receipt, expected) in [(first, true), (second, true), (next, false), (other, false)] {
        assert_eq!(bus.has(&receipt).await.expect("has"), expected, "{receipt:?}");
    }
}
