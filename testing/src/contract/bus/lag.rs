//! How far a durable is behind.

use std::time::Duration;

use common::bus::{Bus, Durable, Verdict};

use super::fixture::{CANCELLED, PAYMENTS, TICKETS, ack, number, open, publish, settle, subscribe, take, take_one};
use crate::contract::harness::Data;
use crate::wait::wait_until;

/// Events that are not delivered, in flight or deferred count; those of other subjects and durables do not.
pub async fn lag_is_the_age_of_the_oldest_event_that_is_not_handled(data: &dyn Data<dyn Bus>) {
    let (bus, tickets) = open(data).await;
    let (payments, _cancelled) = (subscribe(&*bus, PAYMENTS).await, subscribe(&*bus, CANCELLED).await);
    let is_behind = async |durable| bus.lag(durable).await.expect("the lag") > Duration::ZERO;
    let until_behind = async |durable: Durable, expected: bool| {
        wait_until("the lag", async || (is_behind(durable).await == expected).then_some(())).await;
    };
    assert!(!is_behind(TICKETS).await);
    publish(&*bus, 0..3).await;
    until_behind(TICKETS, true).await;
    let deliveries = take(&*tickets, 3).await;
    assert!(is_behind(TICKETS).await, "three events are in flight");
    for delivery in &deliveries {
        let verdict = if number(delivery) == 1 { Verdict::Retry(Duration::from_secs(1)) } else { Verdict::Ack };
        settle(&*tickets, delivery, verdict).await;
    }
    assert!(is_behind(PAYMENTS).await);
    for delivery in take(&*payments, 3).await {
        ack(&*payments, &delivery).await;
    }
    until_behind(PAYMENTS, false).await;
    assert!(is_behind(TICKETS).await, "one event is deferred");
    ack(&*tickets, &take_one(&*tickets).await).await;
    until_behind(TICKETS, false).await;
    assert!(!is_behind(CANCELLED).await);
}
