//! Messages of other publishers, and a missing dead-letter stream.

use async_nats::HeaderMap;
use common::bus::{Bus, Publisher, Verdict};
use testing::contract::bus::fixture::{TICKETS, message, messages, take, take_one};
use testing::servers::{NATS, Server};

use super::fixture::{connect, raw};

#[tokio::test(flavor = "multi_thread")]
async fn foreign_messages_become_dead_letters() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let nats = raw(server.port()).await;
    let mut named = HeaderMap::new();
    named.insert("Nats-Msg-Id", "not UTF-8");
    named.insert("Sender", "somebody");
    nats.publish_with_headers("order:created", named, vec![0xff, 0xfe].into()).await.unwrap().await.unwrap();
    nats.publish("order:created", "{}".into()).await.unwrap().await.unwrap();
    bus.publish(&messages(3..4)).await.unwrap();
    nats.publish("order:created", "".into()).await.unwrap().await.unwrap();
    bus.publish(&messages(4..5)).await.unwrap();

    let reader = bus.subscribe(TICKETS).await.unwrap();
    for number in [3, 4] {
        let delivery = take_one(&*reader).await;
        assert_eq!(delivery.message, message(number));
        reader.settle(&delivery, Verdict::Ack).await.unwrap();
    }
    let letters = bus.dead_letters(None, 10).await.unwrap();
    let causes: Vec<_> = letters.iter().map(|letter| (&*letter.message.id, &*letter.reason)).collect();
    let no_id = ("", "it has no message id");
    assert_eq!(causes, [("not UTF-8", "the payload is not UTF-8"), no_id, no_id]);
    let first = nats.get_stream("ticketing-dead-letters").await.unwrap().get_raw_message(1).await.unwrap();
    assert_eq!(first.headers.get("Sender").map(|value| value.as_str()), Some("somebody"));
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_dead_letters_hide_no_others() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let nats = raw(server.port()).await;
    nats.publish("ticketing-dead-letters.by-hand", "?".into()).await.unwrap().await.unwrap();
    bus.publish(&messages(1..2)).await.unwrap();
    let reader = bus.subscribe(TICKETS).await.unwrap();
    let delivery = take_one(&*reader).await;
    let reason = "two\r\nlines, and very long: ".to_owned() + &"é".repeat(100_000);
    reader.settle(&delivery, Verdict::Reject(reason)).await.unwrap();
    let letters = bus.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert!(letters[0].reason.starts_with("two  lines, and very long: éé"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_that_cannot_be_stored_holds_up_no_others() {
    let Some(server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..3)).await.unwrap();
    raw(server.port()).await.delete_stream("ticketing-dead-letters").await.unwrap();
    let reject = || Verdict::Reject("never".into());
    let [first, others @ ..] = &take(&*reader, 3).await[..] else { panic!("three deliveries") };
    reader.settle(first, reject()).await.unwrap();
    for delivery in others {
        reader.settle(delivery, Verdict::Ack).await.unwrap();
    }
    let again = take_one(&*reader).await;
    assert_eq!(again.message, message(0));

    // Connecting creates the missing stream.
    let bus = connect(server.port()).await;
    reader.settle(&again, reject()).await.unwrap();
    assert_eq!(bus.dead_letters(None, 10).await.unwrap().len(), 1);
}
