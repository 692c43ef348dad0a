//! Durability: what an engine keeps across a restart.

use std::collections::BTreeSet;
use std::time::Duration;

use common::bus::{Bus, Verdict};

use super::fixture::{ack, number, open, publish, settle, take, take_one};
use crate::contract::harness::Data;

/// Messages in flight during a restart are redelivered.
pub async fn an_unsettled_message_is_redelivered_after_reopening(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    publish(&*bus, 0..10).await;
    for (place, delivery) in take(&*reader, 10).await.iter().enumerate() {
        if place % 2 == 1 {
            ack(&*reader, delivery).await;
        }
    }
    // An engine that records too much as settled does so by the time this message is durable.
    publish(&*bus, 10..11).await;
    drop((reader, bus));
    let (_bus, reader) = open(data).await;
    let mut missing = BTreeSet::from([0, 2, 4, 6, 8]);
    while !missing.is_empty() {
        let delivery = take_one(&*reader).await;
        missing.remove(&number(&delivery));
        ack(&*reader, &delivery).await;
    }
}

/// A crash may lose the latest acks, but engines record them eventually.
pub async fn acks_become_durable(data: &dyn Data<dyn Bus>) {
    let bus = data.open().await;
    publish(&*bus, 0..100).await;
    drop(bus);
    // Every round is a crash right after everything was acked.
    for last in 100..200 {
        let (bus, reader) = open(data).await;
        publish(&*bus, last..last + 1).await;
        let mut seen = BTreeSet::new();
        while !seen.contains(&last) {
            let delivery = take_one(&*reader).await;
            seen.insert(number(&delivery));
            ack(&*reader, &delivery).await;
        }
        if seen.len() == 1 {
            return;
        }
    }
    panic!("acked messages were redelivered after a hundred restarts");
}

/// A retried message is redelivered after a restart even if all others are settled, and its attempts keep counting.
pub async fn a_retry_survives_reopening(data: &dyn Data<dyn Bus>) {
    const RETRY: Verdict = Verdict::Retry(Duration::from_millis(100));
    let (bus, reader) = open(data).await;
    publish(&*bus, 0..10).await;
    for delivery in take(&*reader, 10).await {
        let verdict = if number(&delivery) == 4 { RETRY } else { Verdict::Ack };
        settle(&*reader, &delivery, verdict).await;
    }
    for least in [2, 3] {
        let (_bus, reader) = open(data).await;
        loop {
            let delivery = take_one(&*reader).await;
            if number(&delivery) == 4 {
                assert!(delivery.attempt >= least, "attempt {}", delivery.attempt);
                settle(&*reader, &delivery, RETRY).await;
                break;
            }
            ack(&*reader, &delivery).await;
        }
    }
}
