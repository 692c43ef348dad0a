//! Reading the stream without a durable.

use common::bus::{Bus, HistoryStart};
use common::events::{Message, Subject};
use futures_util::TryStreamExt;

use super::fixture::{ack, message, numbers, open, take};
use crate::contract::harness::Data;

/// More messages than any engine reads at once.
const MANY: u32 = 5000;

/// History has the messages of the wanted subjects in order, settled or not. Reading it affects no durable.
pub async fn history_is_read_to_its_end_in_order(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    let published: Vec<Message> = (0..MANY).flat_map(with_end).collect();
    for batch in published.chunks(500) {
        bus.publish(batch).await.expect("publish");
    }
    let other = Message { id: "ticket:created/1/0".into(), subject: Subject::TicketCreated, ..message(0) };
    bus.publish(&[other]).await.expect("publish");
    for delivery in take(&*reader, 5).await {
        ack(&*reader, &delivery).await;
    }

    let read = read(&*bus, HistoryStart::After(0)).await;
    assert!(read.is_sorted_by_key(|(position, _)| *position));
    let messages: Vec<Message> = read.iter().map(|(_, message)| message.clone()).collect();
    assert!(messages == published, "{} messages", messages.len());
    assert_eq!(numbers(&take(&*reader, 5).await), [5, 6, 7, 8, 9], "reading history moved a durable");

    // It continues after any position.
    let (position, _) = read[6000];
    let rest = self::read(&*bus, HistoryStart::After(position)).await;
    assert!(rest == read[6001..], "{} messages", rest.len());
}

/// The history of an empty stream, or after its end, is empty.
pub async fn history_may_be_empty(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    assert_eq!(read(&*bus, HistoryStart::After(0)).await, []);
    bus.publish(&[message(1)]).await.expect("publish");
    let (position, _) = read(&*bus, HistoryStart::After(0)).await.remove(0);
    for position in [position, position + 1, u64::MAX] {
        assert_eq!(read(&*bus, HistoryStart::After(position)).await, []);
    }
}

/// Two messages about the same order.
fn with_end(number: u32) -> [Message; 2] {
    let id = format!("order:cancelled/{number}/1");
    [message(number), Message { id, subject: Subject::OrderCancelled, ..message(number) }]
}

async fn read(bus: &dyn Bus, start: HistoryStart) -> Vec<(u64, Message)> {
    let pages = bus.history(&[Subject::OrderCreated, Subject::OrderCancelled], start);
    pages.try_concat().await.expect("history")
}
