//! Retries and their delays.

use std::time::Duration;

use common::bus::{Bus, Verdict};
use futures_util::future::join_all;
use tokio::time::Instant;

use super::fixture::{LONG, message, number, open, publish, settle, take_one};
use crate::contract::harness::Data;
use crate::wait::soon;

/// A retried message is not redelivered before its delay has passed, and its attempts are counted.
pub async fn a_retried_message_is_redelivered_after_its_delay(data: &dyn Data<dyn Bus>) {
    const DELAY: Duration = Duration::from_millis(100);
    let (bus, reader) = open(data).await;
    publish(&*bus, 1..2).await;
    let mut settled_at = None;
    for attempt in 1..=4 {
        let delivery = take_one(&*reader).await;
        assert_eq!(delivery.attempt, attempt);
        assert_eq!(delivery.message, message(1));
        let early = settled_at.is_some_and(|then: Instant| then.elapsed() < DELAY);
        assert!(!early, "attempt {attempt} came too early");
        settled_at = Some(Instant::now());
        settle(&*reader, &delivery, Verdict::Retry(DELAY)).await;
    }
}

/// Messages published after a retried one are delivered in the meantime.
pub async fn a_retried_message_does_not_hold_up_others(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    publish(&*bus, 0..20).await;
    let mut seen = Vec::new();
    while seen.len() < 20 {
        let delivery = take_one(&*reader).await;
        let number = number(&delivery);
        seen.push(number);
        settle(&*reader, &delivery, if number.is_multiple_of(2) { Verdict::Retry(LONG) } else { Verdict::Ack }).await;
    }
    assert_eq!(seen, (0..20).collect::<Vec<_>>());
}

/// A reader that is already waiting gets a message that is retried meanwhile.
pub async fn a_retry_wakes_a_waiting_reader(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    publish(&*bus, 1..2).await;
    let delivery = take_one(&*reader).await;
    let retry = async {
        tokio::task::yield_now().await;
        settle(&*reader, &delivery, Verdict::Retry(Duration::from_millis(10))).await;
    };
    let (again, ()) = tokio::join!(take_one(&*reader), retry);
    assert_eq!((number(&again), again.attempt), (1, 2));
}

/// A backlog of retried messages never stops a durable, however long it is.
pub async fn any_number_of_retried_messages_holds_up_no_others(data: &dyn Data<dyn Bus>) {
    const BACKLOG: u32 = 20_050;
    let (bus, reader) = open(data).await;
    publish(&*bus, 0..BACKLOG).await;
    let mut retried = 0;
    while retried < BACKLOG as usize {
        let deliveries = soon("a delivery", reader.next(256)).await.expect("next");
        join_all(deliveries.iter().map(|delivery| settle(&*reader, delivery, Verdict::Retry(LONG)))).await;
        retried += deliveries.len();
    }
    publish(&*bus, BACKLOG..BACKLOG + 1).await;
    assert_eq!(number(&take_one(&*reader).await), BACKLOG);
}
