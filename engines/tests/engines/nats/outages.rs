//! Servers that crash or hang, and lost connections.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, BusError, Delivery, Publisher, Subscription, Verdict};
use engines::nats::NatsBus;
use testing::contract::bus::fixture::{TICKETS, messages, number, take, take_one};
use testing::servers::{NATS, Proxy, Server};
use testing::{soon, wait_until};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::fixture::connect;

/// The longest that a request may take during an outage.
const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn requests_fail_in_time_during_an_outage_and_delivery_resumes() {
    let Some(mut server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..20)).await.unwrap();
    let held = take(&*reader, 10).await;

    server.kill();
    fails_in_time(bus.publish(&messages(20..21))).await;
    fails_in_time(bus.ping()).await;
    fails_in_time(bus.dead_letters(None, 1)).await;
    fails_in_time(bus.subscribe(TICKETS)).await;
    fails_in_time(reader.settle(&held[0], Verdict::Reject("no".into()))).await;
    for delivery in &held[1..] {
        // An ack may be buffered or fail, but it must not hang.
        let _either = timeout(LIMIT, reader.settle(delivery, Verdict::Ack)).await.expect("an end in time");
    }
    let waiting = tokio::spawn(async move { (take(&*reader, 1).await, reader) });

    server.restart().await;
    publish_until_accepted(&bus, 20..40).await;
    let (first, reader) = soon("a delivery", waiting).await.unwrap();
    receive_all(&*reader, first, 11..40).await;
    bus.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_published_message_is_lost_when_the_server_is_killed_repeatedly() {
    let Some(mut server) = Server::start(NATS).await else { return };
    let bus = connect(server.port()).await;
    let reader: Arc<dyn Subscription> = bus.subscribe(TICKETS).await.unwrap().into();
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            for first in (0..3000).step_by(20) {
                publish_until_accepted(&bus, first..first + 20).await;
            }
        }
    });
    let (received, mut progress) = watch::channel(0);
    let consumer = tokio::spawn(async move {
        let mut missing: BTreeSet<u32> = (0..3000).collect();
        while !missing.is_empty() {
            for delivery in reader.next(64).await.unwrap() {
                missing.remove(&number(&delivery));
                let _lost = reader.settle(&delivery, Verdict::Ack).await;
            }
            received.send_replace(3000 - missing.len());
        }
    });
    for count in [500, 1000, 1500] {
        soon("messages", progress.wait_for(|received| *received >= count)).await.unwrap();
        server.restart().await;
    }
    soon("the publisher", publisher).await.unwrap();
    soon("all messages", consumer).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_detected_and_a_lost_ack_redelivers() {
    let Some(server) = Server::start(NATS).await else { return };
    let proxy = Proxy::to(server.port()).await;
    let bus = connect(proxy.port()).await;
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..1)).await.unwrap();
    let delivery = take_one(&*reader).await;

    proxy.silence();
    reader.settle(&delivery, Verdict::Ack).await.unwrap();
    fails_in_time(bus.publish(&messages(1..2))).await;
    fails_in_time(bus.ping()).await;
    proxy.cut();
    proxy.open();

    publish_until_accepted(&bus, 1..2).await;
    // In any order, because the second message may have arrived although its publication failed.
    let mut again: Vec<_> =
        take(&*reader, 2).await.iter().map(|delivery| (number(delivery), delivery.attempt)).collect();
    again.sort_unstable();
    assert_eq!(again, [(0, 2), (1, 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_held_by_a_dead_replica_go_to_another() {
    let Some(server) = Server::start(NATS).await else { return };
    let proxy = Proxy::to(server.port()).await;
    let (dying, living) = (connect(proxy.port()).await, connect(server.port()).await);
    living.publish(&messages(0..50)).await.unwrap();
    let dying_reader = dying.subscribe(TICKETS).await.unwrap();
    take(&*dying_reader, 20).await;
    // The server does not see the connection close.
    proxy.silence();
    let reader = living.subscribe(TICKETS).await.unwrap();
    receive_all(&*reader, Vec::new(), 0..50).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_held_for_long_is_not_delivered_to_others() {
    let Some(server) = Server::start(NATS).await else { return };
    let (first, second) = (connect(server.port()).await, connect(server.port()).await);
    let (first, second) = (first.subscribe(TICKETS).await.unwrap(), second.subscribe(TICKETS).await.unwrap());
    connect(server.port()).await.publish(&messages(0..1)).await.unwrap();
    let held = take_one(&*first).await;
    // Longer than the server's ack timeout.
    assert!(timeout(Duration::from_secs(12), second.next(1)).await.is_err(), "delivered while it was held");
    first.settle(&held, Verdict::Ack).await.unwrap();
}

async fn fails_in_time<T>(request: impl Future<Output = Result<T, BusError>>) {
    let began = Instant::now();
    assert!(timeout(LIMIT, request).await.expect("an end in time").is_err());
    assert!(began.elapsed() < LIMIT);
}

async fn publish_until_accepted(bus: &NatsBus, numbers: Range<u32>) {
    let messages = messages(numbers);
    wait_until("a connection", async || bus.publish(&messages).await.ok()).await;
}

/// Acks deliveries until all the expected ones have come.
async fn receive_all(reader: &dyn Subscription, first: Vec<Delivery>, expected: Range<u32>) {
    let mut missing: BTreeSet<u32> = expected.collect();
    let mut deliveries = first;
    loop {
        for delivery in deliveries {
            missing.remove(&number(&delivery));
            reader.settle(&delivery, Verdict::Ack).await.expect("settle");
        }
        if missing.is_empty() {
            return;
        }
        deliveries = soon("the missing messages", reader.next(64)).await.expect("next");
    }
}
