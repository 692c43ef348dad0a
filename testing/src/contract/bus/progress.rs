//! How far durables have read.

use common::bus::{Bus, HistoryStart, Page, Verdict};
use common::events::Subject;
use futures_util::TryStreamExt;

use super::fixture::{LONG, PAYMENTS, TICKETS, ack, open, publish, settle, subscribe, take};
use crate::contract::harness::Data;
use crate::wait::wait_until;

/// A message is unsettled until it is acknowledged, whether it was read, is deferred, or was never read.
pub async fn progress_shows_unsettled_messages(data: &dyn Data<dyn Bus>) {
    let (bus, reader) = open(data).await;
    let other = subscribe(&*bus, PAYMENTS).await;
    publish(&*bus, 0..4).await;
    let deliveries = take(&*reader, 3).await;
    ack(&*reader, &deliveries[0]).await;
    settle(&*reader, &deliveries[1], Verdict::Retry(LONG)).await;
    ack(&*reader, &deliveries[2]).await;

    let last = async |durable: &str| unsettled(&*bus, durable).await.last().copied();
    wait_until("the last message is unsettled", async || (last(TICKETS.name).await == Some(3)).then_some(())).await;
    let found = unsettled(&*bus, TICKETS.name).await;
    assert!(!found.contains(&0) && found.contains(&1), "{found:?}");
    assert_eq!(unsettled(&*bus, PAYMENTS.name).await, [0, 1, 2, 3]);

    for delivery in take(&*other, 4).await {
        ack(&*other, &delivery).await;
    }
    wait_until("all is settled", async || unsettled(&*bus, PAYMENTS.name).await.is_empty().then_some(())).await;
}

/// The numbers of the messages that a durable has not settled.
async fn unsettled(bus: &dyn Bus, durable: &str) -> Vec<u32> {
    let all = bus.progress().await.expect("progress");
    let progress = all.iter().find(|progress| progress.durable == durable).expect("a durable");
    let pages = bus.history(&[Subject::OrderCreated], HistoryStart::After(0));
    let history: Page = pages.try_concat().await.expect("history");
    let is_unsettled = |position: &u64| *position > progress.position || progress.deferred.contains(position);
    let left = history.into_iter().filter(|(position, _)| is_unsettled(position));
    left.map(|(_, message)| message.payload.parse().expect("a number")).collect()
}
