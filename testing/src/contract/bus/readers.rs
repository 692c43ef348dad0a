//! Several readers of one durable, and readers that stop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, Delivery, Subscription, Verdict};
use futures_util::future::join_all;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::fixture::{LONG, TICKETS, ack, number, numbers, open, publish, settle, subscribe, take};
use crate::contract::harness::Data;
use crate::wait::soon;

/// Between them, two readers of a durable get each message once.
pub async fn readers_of_a_durable_share_its_messages(data: &dyn Data<dyn Bus>) {
    let (bus, first) = open(data).await;
    let second = subscribe(&*bus, TICKETS).await;
    publish(&*bus, 0..100).await;
    let mut seen = Vec::new();
    while seen.len() < 100 {
        // The branch that loses is dropped, which must not lose its messages.
        let (reader, deliveries) = soon("a delivery", async {
            tokio::select! {
                deliveries = first.next(3) => (&first, deliveries),
                deliveries = second.next(3) => (&second, deliveries),
            }
        })
        .await;
        let deliveries = deliveries.expect("next");
        seen.extend(numbers(&deliveries));
        for delivery in deliveries {
            ack(&**reader, &delivery).await;
        }
    }
    publish(&*bus, 100..101).await;
    let (reader, last) = tokio::select! {
        deliveries = take(&*first, 1) => (&first, deliveries),
        deliveries = take(&*second, 1) => (&second, deliveries),
    };
    ack(&**reader, &last[0]).await;
    seen.extend(numbers(&last));
    seen.sort_unstable();
    assert_eq!(seen, (0..101).collect::<Vec<_>>());
}

/// The unsettled messages of a dropped reader go to a waiting reader, and to one that subscribes later.
pub async fn a_dropped_reader_releases_its_messages(data: &dyn Data<dyn Bus>) {
    let (bus, first) = open(data).await;
    let second = subscribe(&*bus, TICKETS).await;
    publish(&*bus, 0..6).await;
    let held = take(&*first, 6).await;
    ack(&*first, &held[0]).await;
    let release = async {
        tokio::task::yield_now().await;
        drop(first);
    };
    let (released, ()) = tokio::join!(take_all(&*second, &[1, 2, 3, 4, 5]), release);
    assert!(released.iter().all(|delivery| delivery.attempt >= 1));
    drop(second);
    let third = subscribe(&*bus, TICKETS).await;
    take_all(&*third, &[1, 2, 3, 4, 5]).await;
}

/// A reader gets new messages although earlier ones are held by other readers or delayed by a retry.
pub async fn held_messages_do_not_hide_new_ones(data: &dyn Data<dyn Bus>) {
    let (bus, first) = open(data).await;
    let second = subscribe(&*bus, TICKETS).await;
    publish(&*bus, 0..60).await;
    let earliest = take(&*first, 1).await;
    let held = take(&*second, 49).await;
    for delivery in held.iter().step_by(2) {
        settle(&*second, delivery, Verdict::Retry(LONG)).await;
    }
    drop(first);
    let third = subscribe(&*bus, TICKETS).await;
    let mut missing: BTreeSet<u32> = (50..60).chain(numbers(&earliest)).collect();
    while !missing.is_empty() {
        for number in numbers(&soon("new messages", third.next(4)).await.expect("next")) {
            missing.remove(&number);
        }
    }
}

/// `next` is cancel safe at any moment.
pub async fn cancelling_next_loses_no_message(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    let publisher = tokio::spawn({
        let bus = bus.clone();
        async move {
            for number in 0..200 {
                publish(&*bus, number..number + 1).await;
            }
        }
    });
    let mut seen = BTreeSet::new();
    soon("all messages", async {
        while seen.len() < 200 {
            let Ok(deliveries) = timeout(Duration::from_micros(200), reader.next(5)).await else { continue };
            for delivery in deliveries.expect("next") {
                assert_eq!(delivery.attempt, 1);
                seen.insert(number(&delivery));
                ack(&*reader, &delivery).await;
            }
        }
    })
    .await;
    publisher.await.expect("no panic");
    assert_eq!(seen, (0..200).collect());
}

/// Five thousand messages from five publishers reach four readers, although every tenth is retried once.
pub async fn many_readers_share_thousands_of_messages(data: &dyn Data<dyn Bus>) {
    const MESSAGES: u32 = 5000;
    let bus = data.open().await;
    let mut publishers = JoinSet::new();
    for publisher in 0..5 {
        let bus = bus.clone();
        publishers.spawn(async move {
            for first in (publisher * 1000..(publisher + 1) * 1000).step_by(20) {
                publish(&*bus, first..first + 20).await;
            }
        });
    }
    let (arrived, mut arrivals) = unbounded_channel();
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (reader, arrived) = (Arc::from(subscribe(&*bus, TICKETS).await), arrived.clone());
        readers.spawn(read(reader, arrived));
    }
    let mut seen: BTreeMap<u32, u32> = BTreeMap::new();
    while seen.len() < MESSAGES as usize {
        let number = soon("all messages", arrivals.recv()).await.expect("readers");
        *seen.entry(number).or_default() += 1;
    }
    publishers.join_all().await;
    readers.shutdown().await;
    let repeated = seen.values().filter(|times| **times > 1).count();
    assert_eq!(repeated, 0, "a settled message was redelivered while its reader was alive");
}

async fn read(reader: Arc<dyn Subscription>, arrived: UnboundedSender<u32>) {
    loop {
        let deliveries = reader.next(64).await.expect("next");
        join_all(deliveries.iter().map(async |delivery| {
            let number = number(delivery);
            if number.is_multiple_of(10) && delivery.attempt == 1 {
                return settle(&*reader, delivery, Verdict::Retry(Duration::from_millis(20))).await;
            }
            ack(&*reader, delivery).await;
            // Fails once the case has ended.
            let _ended = arrived.send(number);
        }))
        .await;
    }
}

/// Waits for these messages, perhaps among others.
async fn take_all(reader: &dyn Subscription, expected: &[u32]) -> Vec<Delivery> {
    let mut taken: Vec<Delivery> = Vec::new();
    while !expected.iter().all(|number| numbers(&taken).contains(number)) {
        taken.extend(soon("released messages", reader.next(10)).await.expect("next"));
    }
    taken
}
