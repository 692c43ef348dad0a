//! The beginning and the end of the history.

use common::bus::{Bus, HistoryStart, Publisher};
use common::clock::{Clock, SystemClock, Timestamp};
use common::events::{Message, Subject};
use engines::nats::NatsBus;
use futures_util::TryStreamExt;
use testing::contract::bus::fixture::messages;
use testing::servers::{NATS, Server};
use testing::{soon, wait_until};

use super::fixture::{connect, raw};

#[tokio::test(flavor = "multi_thread")]
async fn the_history_since_a_time_is_exactly_what_was_published_since_then() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    bus.publish(&messages(0..1500)).await.unwrap();
    let before = SystemClock.now();
    let since = wait_until("the next millisecond", async || Some(SystemClock.now()).filter(|now| *now > before)).await;
    bus.publish(&messages(1500..3000)).await.unwrap();
    assert_eq!(read(&bus, since).await, messages(1500..3000));
    assert_eq!(read(&bus, Timestamp::from_millis(0)).await.len(), 3000);
    assert_eq!(read(&bus, SystemClock.now().plus(std::time::Duration::from_secs(3600))).await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_history_ends_when_its_last_messages_are_deleted_meanwhile() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    bus.publish(&messages(0..1500)).await.unwrap();
    let mut pages = bus.history(&[Subject::OrderCreated], HistoryStart::After(0));
    let first = soon("a page", pages.try_next()).await.unwrap().unwrap();
    raw(server.port()).await.get_stream("ticketing").await.unwrap().purge().await.unwrap();
    let rest: Vec<(u64, Message)> = soon("the end", pages.try_concat()).await.unwrap();
    assert_eq!((first.len(), rest.len()), (1000, 0));
}

async fn read(bus: &NatsBus, since: Timestamp) -> Vec<Message> {
    let pages = bus.history(&[Subject::OrderCreated], HistoryStart::Since(since));
    let pages = pages.map_ok(|page| page.into_iter().map(|(_, message)| message).collect());
    soon("the history", pages.try_concat()).await.expect("history")
}
