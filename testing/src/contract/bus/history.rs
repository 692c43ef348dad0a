//! Reading the stream without a durable.

use common::bus::Bus;
use common::events::{Message, Subject};

use super::fixture::{ack, message, numbers, open, take};
use crate::contract::harness::Data;

/// History has the messages of one subject in order, settled or not. Reading it affects no durable.
pub async fn history_is_read_in_pages(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    for number in 0..10 {
        let id = format!("order:cancelled/{number}/1");
        let other = Message { id, subject: Subject::OrderCancelled, ..message(number) };
        bus.publish(&[message(number), other]).await.expect("publish");
    }
    for delivery in take(&*reader, 5).await {
        ack(&*reader, &delivery).await;
    }
    let (mut after, mut pages, mut read) = (0, Vec::new(), Vec::new());
    loop {
        let page = bus.history(Subject::OrderCreated, after, 4).await.expect("history");
        let Some((last, _)) = page.last() else { break };
        after = *last;
        pages.push(page.len());
        read.extend(page.into_iter().map(|(_, message)| message));
    }
    assert_eq!(pages, [4, 4, 2]);
    assert_eq!(read, (0..10).map(message).collect::<Vec<_>>());
    assert_eq!(numbers(&take(&*reader, 5).await), [5, 6, 7, 8, 9], "reading history moved a durable");
}
