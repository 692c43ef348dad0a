//! Events of orders schedule and delete jobs. Every event is delivered twice.

use std::time::Duration;

use common::bus::Verdict;
use common::clock::Clock;
use common::trace::TraceParent;
use testing::builders::{order_cancelled, order_completed};
use testing::soon;

use crate::{ExpirationApp, order_due};

const FIFTEEN_MINUTES: Duration = Duration::from_secs(900);

#[tokio::test]
async fn a_redelivered_order_is_scheduled_once() {
    let app = ExpirationApp::start().await;
    let order = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    let due = app.in_time(FIFTEEN_MINUTES);
    assert_eq!(app.jobs.count_due(due).await.unwrap(), 1);
    app.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(app.expired(1).await, [order.id]);
}

#[tokio::test]
async fn cancelled_orders_do_not_expire() {
    let app = ExpirationApp::start().await;
    let cancelled = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    let other = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    app.service.deliver(&order_cancelled(&cancelled)).await;
    app.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(app.expired(1).await, [other.id]);
}

#[tokio::test]
async fn completed_orders_do_not_expire() {
    let app = ExpirationApp::start().await;
    let completed = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    let other = app.order_due(app.in_time(FIFTEEN_MINUTES)).await;
    app.service.deliver(&order_completed(&completed)).await;
    app.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(app.expired(1).await, [other.id]);
}

#[tokio::test]
async fn an_order_delivered_after_its_cancellation_still_expires() {
    let app = ExpirationApp::start().await;
    let event = order_due(app.in_time(FIFTEEN_MINUTES));
    app.service.deliver(&order_cancelled(&event)).await;
    app.service.deliver(&event).await;
    // Harmless: the orders service ignores the event.
    app.env.clock.advance(FIFTEEN_MINUTES);
    assert_eq!(app.expired(1).await, [event.id]);
    app.idle().await;
}

#[tokio::test]
async fn an_order_delivered_after_its_deadline_expires_at_once() {
    let app = ExpirationApp::start().await;
    let event = order_due(app.env.clock.now().minus(Duration::from_secs(60)));
    app.service.deliver_once(&event).await.unwrap();
    assert_eq!(app.expired(1).await, [event.id]);
}

#[tokio::test]
async fn a_long_expired_order_is_ignored() {
    let app = ExpirationApp::start().await;
    // As when a durable is created again and begins with the oldest order.
    app.order_due(app.env.clock.now().minus(FIFTEEN_MINUTES)).await;
    let event = app.order_due(app.env.clock.now()).await;
    assert_eq!(app.expired(1).await, [event.id]);
    app.idle().await;
}

#[tokio::test]
async fn an_expiration_carries_the_trace_of_its_order() {
    let app = ExpirationApp::start().await;
    let (trace, event) = (TraceParent::generate(), order_due(app.env.clock.now()));
    trace.clone().scope(app.service.deliver_once(&event)).await.unwrap();
    let deliveries = soon("the expiration", app.orders.next(1)).await.unwrap();
    assert_eq!(deliveries[0].message.traceparent, Some(trace));
    app.orders.settle(&deliveries[0], Verdict::Ack).await.unwrap();
}
