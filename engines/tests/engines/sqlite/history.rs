//! The beginning of the history.

use common::bus::{Bus, HistoryStart, Publisher};
use common::clock::Timestamp;
use common::events::{Message, Subject};
use common::ids::OrderId;
use engines::sqlite::SqliteBus;
use futures_util::TryStreamExt;
use tempfile::TempDir;

const DAY: i64 = 86_400_000;

#[tokio::test]
async fn the_history_since_a_time_begins_with_the_records_of_that_time() {
    let directory = TempDir::new().unwrap();
    let bus = SqliteBus::open(&directory.path().join("bus.db")).unwrap();
    let ids: Vec<OrderId> = (0..6).map(|day| OrderId::generate(Timestamp::from_millis(day * DAY))).collect();
    let message = |subject: Subject, id: &OrderId| Message {
        id: format!("{subject}/{id}/0"),
        subject,
        payload: id.to_string(),
        traceparent: None,
    };
    for id in &ids {
        bus.publish(&[message(Subject::OrderCreated, id), message(Subject::TicketCreated, id)]).await.unwrap();
    }
    // An order of the first day ends on the last.
    bus.publish(&[message(Subject::OrderCancelled, &ids[0])]).await.unwrap();

    let since = async |millis| {
        let start = HistoryStart::Since(Timestamp::from_millis(millis));
        let pages = bus.history(&[Subject::OrderCreated, Subject::OrderCancelled], start);
        let read: Vec<(u64, Message)> = pages.try_concat().await.unwrap();
        read.into_iter().map(|(_, message)| message.payload).collect::<Vec<_>>()
    };
    let expected = |first: usize| ids[first..].iter().chain([&ids[0]]).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(since(0).await, expected(0));
    assert_eq!(since(3 * DAY).await, expected(3));
    assert_eq!(since(4 * DAY - 1000).await, expected(4));
    assert_eq!(since(6 * DAY).await, [""; 0]);
}
