//! What orders do to the delayed jobs. Every event is delivered twice.

use std::time::Duration;

use common::bus::Verdict;
use common::clock::Clock;
use common::trace::TraceParent;
use testing::contract::soon;

use crate::{Expiration, order_cancelled, order_completed, order_created};

const FIFTEEN_MINUTES: Duration = Duration::from_secs(900);

#[tokio::test]
async fn a_repeated_order_is_scheduled_once() {
    let expiration = Expiration::start().await;
    let order = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    let due = expiration.in_time(FIFTEEN_MINUTES);
    assert_eq!(expiration.jobs.count_due(due).await.unwrap(), 1);
    expiration.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(expiration.expired(1).await, [order]);
}

#[tokio::test]
async fn the_time_of_a_cancelled_order_is_not_reported() {
    let expiration = Expiration::start().await;
    let cancelled = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    let other = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    expiration.service.deliver(&order_cancelled(cancelled)).await;
    expiration.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(expiration.expired(1).await, [other]);
}

#[tokio::test]
async fn the_time_of_a_completed_order_is_not_reported() {
    let expiration = Expiration::start().await;
    let completed = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    let other = expiration.order_created(expiration.in_time(FIFTEEN_MINUTES)).await;
    expiration.service.deliver(&order_completed(completed)).await;
    expiration.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(expiration.expired(1).await, [other]);
}

#[tokio::test]
async fn an_order_heard_of_after_its_end_is_reported_and_harms_nobody() {
    let expiration = Expiration::start().await;
    let event = order_created(expiration.in_time(FIFTEEN_MINUTES));
    expiration.service.deliver(&order_cancelled(event.id)).await;
    expiration.service.deliver(&event).await;
    // The orders service knows that it is cancelled and does nothing.
    expiration.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(expiration.expired(1).await, [event.id]);
    expiration.idle().await;
}

#[tokio::test]
async fn an_order_heard_of_after_its_time_is_reported_at_once() {
    let expiration = Expiration::start().await;
    let event = order_created(expiration.env.clock.now().minus(FIFTEEN_MINUTES));
    expiration.service.deliver_once(&event).await.unwrap();
    assert_eq!(expiration.expired(1).await, [event.id]);
}

#[tokio::test]
async fn the_trace_of_the_order_goes_on() {
    let expiration = Expiration::start().await;
    let (trace, event) = (TraceParent::generate(), order_created(expiration.env.clock.now()));
    trace.clone().scope(expiration.service.deliver_once(&event)).await.unwrap();
    let deliveries = soon("the expiration", expiration.orders.next(1)).await.unwrap();
    assert_eq!(deliveries[0].message.traceparent, Some(trace));
    expiration.orders.settle(&deliveries[0], Verdict::Ack).await.unwrap();
}
