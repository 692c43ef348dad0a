//! When `expiration:complete` is published.

use std::time::Duration;

use common::bus::Publisher;
use common::clock::Clock;
use common::events::ExpirationComplete;
use testing::contract::soon;
use testing::message;

use crate::{Expiration, counted};

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const FIFTEEN_MINUTES: Duration = Duration::from_secs(900);

#[tokio::test]
async fn an_order_expires_at_its_time_and_not_before() {
    let expiration = Expiration::start().await;
    let later = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    let earlier = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES - MILLISECOND)).await;
    expiration.env.clock.advance(FIFTEEN_MINUTES - MILLISECOND);
    assert_eq!(expiration.expired(1).await, [earlier]);
    expiration.env.clock.advance(MILLISECOND);
    assert_eq!(expiration.expired(1).await, [later]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_earlier_order_wakes_the_worker() {
    let expiration = Expiration::start().await;
    expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    // Each round meets the worker on its way to sleep, or asleep. All of them end before it would wake by itself.
    for _ in 0..100 {
        let order = expiration.order_created(expiration.in_time(MILLISECOND)).await;
        expiration.env.clock.advance(MILLISECOND);
        assert_eq!(expiration.expired(1).await, [order]);
    }
}

#[tokio::test]
async fn a_sleeping_worker_sees_what_another_replica_has_left() {
    let expiration = Expiration::start().await;
    let event = crate::order_created(expiration.in_time(SECOND));
    let job = common::jobs::Job { id: event.id.to_string(), due: event.expires_at, payload: String::new() };
    // By now the worker sleeps, for as long as it ever does.
    let first = expiration.order_created(expiration.env.clock.now()).await;
    assert_eq!(expiration.expired(1).await, [first]);
    expiration.jobs.schedule(&job).await.unwrap();
    expiration.env.clock.advance(Duration::from_secs(60));
    assert_eq!(expiration.expired(1).await, [event.id]);
}

#[tokio::test]
async fn what_became_due_while_it_was_down_expires_at_the_start() {
    let expiration = Expiration::start().await;
    let order = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    let expiration = expiration.crash_and_restart_after(2 * FIFTEEN_MINUTES).await;
    assert_eq!(expiration.expired(1).await, [order]);
}

#[tokio::test]
async fn a_crash_between_publishing_and_forgetting_repeats_what_the_bus_then_drops() {
    let expiration = Expiration::start().await;
    // As the worker leaves it when it is cut off there.
    let crashed = crate::order_created(expiration.in_time(FIFTEEN_MINUTES));
    expiration.service.deliver(&crashed).await;
    let at = crashed.expires_at;
    assert_eq!(expiration.jobs.claim(at, 1, SECOND).await.unwrap().len(), 1);
    expiration.bus.publish(&[message(&ExpirationComplete { order_id: crashed.id })]).await.unwrap();

    let expiration = expiration.crash_and_restart_after(FIFTEEN_MINUTES + SECOND).await;
    let next = expiration.order_created(expiration.env.clock.now()).await;
    // The first was reported again, to no effect.
    assert_eq!(expiration.expired(2).await, [crashed.id, next]);
    expiration.idle().await;
}

#[tokio::test]
async fn what_can_not_be_published_is_kept_and_published_when_the_bus_is_back() {
    let expiration = Expiration::start().await;
    let order = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    expiration.bus.interrupt();
    expiration.env.clock.advance(FIFTEEN_MINUTES);
    for attempts in 1..=3 {
        soon("an attempt", expiration.bus.refused(attempts)).await;
        assert_eq!(expiration.jobs.count_due(expiration.env.clock.now()).await.unwrap(), 1);
        // The worker may not rest yet: time goes on until it tries again.
        soon("another attempt", async {
            tokio::select! {
                () = expiration.bus.refused(attempts + 1) => {}
                () = time_goes_on(&expiration) => {}
            }
        })
        .await;
    }
    expiration.bus.resume();
    let expired = soon("the expiration", async {
        tokio::select! {
            expired = expiration.expired(1) => expired,
            () = time_goes_on(&expiration) => Vec::new(),
        }
    })
    .await;
    assert_eq!(expired, [order]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_thousand_at_one_instant_all_expire_once() {
    const MANY: usize = 20_000;
    let expiration = Expiration::start().await;
    let at = expiration.in_time(FIFTEEN_MINUTES);
    let events: Vec<_> = (0..MANY).map(|_| crate::order_created(at)).collect();
    let deliveries = events.chunks(500).map(|some| some.iter().map(|event| expiration.service.deliver_once(event)));
    for some in deliveries {
        for delivered in futures_util::future::join_all(some).await {
            delivered.unwrap();
        }
    }
    expiration.env.clock.advance(FIFTEEN_MINUTES);
    let expired = expiration.expired(MANY).await;
    assert_eq!(counted(expired), counted(events.into_iter().map(|event| event.id)));
}

#[tokio::test]
async fn it_stops_when_told() {
    let expiration = Expiration::start().await;
    expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    soon("the worker's end", expiration.workers.stop()).await;

    // Also while it waits for the bus.
    let expiration = Expiration::start().await;
    expiration.bus.interrupt();
    expiration.order_created(expiration.env.clock.now()).await;
    soon("an attempt", expiration.bus.refused(1)).await;
    soon("the worker's end", expiration.workers.stop()).await;
}

async fn time_goes_on(expiration: &Expiration) {
    loop {
        expiration.env.clock.advance(SECOND);
        tokio::task::yield_now().await;
    }
}
