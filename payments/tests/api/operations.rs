use std::time::Duration;

use common::clock::Clock;
use common::events::Subject;
use payments::operations::{self, Refund, RefundError};
use testing::builders::order_completed;

use crate::{PaymentsApp, unknown_order};

#[tokio::test]
async fn a_refund_is_done_once_and_announced() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    let early = operations::refund(&app.database, order.id).await;
    assert!(matches!(early, Err(RefundError::NotCaptured(_))), "{early:?}");
    app.service.deliver(&order_completed(&order)).await;
    app.wait_for_statuses(&order, &["captured"]).await;
    app.service.published().await;
    assert_eq!(operations::refund(&app.database, order.id).await.unwrap(), Refund::Scheduled);
    app.wait_for_statuses(&order, &["refunded"]).await;
    assert_eq!(operations::refund(&app.database, order.id).await.unwrap(), Refund::Done);
    assert_eq!(app.line.statuses().await, ["refunded"]);
    let published = app.service.published().await;
    assert_eq!((published[0].0, &published[0].1["reason"]), (Subject::PaymentFailed, &"refunded".into()));
}

/// A cardholder's dispute forbids a refund until it is closed.
#[tokio::test]
async fn a_refund_that_stripe_refuses_stays_stuck_and_can_be_asked_for_again() {
    let app = PaymentsApp::start();
    let order = app.captured_order().await;
    app.service.published().await;
    app.line.act_at_stripe("dispute").await;
    operations::refund(&app.database, order.id).await.unwrap();
    app.wait_for_statuses(&order, &["stuck"]).await;
    // Looks at it hourly, and does not take it for captured.
    for _ in 0..5 {
        app.env.clock.advance(Duration::from_secs(3600));
        app.wait_for_statuses(&order, &["stuck"]).await;
    }
    assert!(app.service.published().await.is_empty());
    app.line.take_calls();
    assert_eq!(operations::refund(&app.database, order.id).await.unwrap(), Refund::Scheduled);
    app.wait_for(async || {
        app.env.clock.advance(Duration::from_secs(1));
        app.line.take_calls().iter().any(|call| call == "POST /v1/refunds")
    })
    .await;
}

#[tokio::test]
async fn a_refund_in_the_dashboard_is_noticed_without_a_webhook() {
    let app = PaymentsApp::start();
    let order = app.captured_order().await;
    app.env.clock.advance(Duration::from_secs(7 * 3600));
    app.line.act_at_stripe("refund").await;
    app.wait_for_statuses(&order, &["refunded"]).await;
}

#[tokio::test]
async fn an_order_without_a_payment_cannot_be_refunded() {
    let app = PaymentsApp::start();
    let refused = operations::refund(&app.database, unknown_order()).await;
    assert!(matches!(refused, Err(RefundError::NotCaptured(_))), "{refused:?}");
}

#[tokio::test]
async fn drift_shows_intents_that_differ_and_the_worker_repairs_them() {
    let mut app = PaymentsApp::new();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    let since = order.expires_at.minus(Duration::from_secs(3600));
    assert_eq!(operations::drift(&app.database, &app.stripe, since).await.unwrap(), []);
    app.line.act_at_stripe("cancel").await;
    let drift = operations::drift(&app.database, &app.stripe, since).await.unwrap();
    assert_eq!((drift.len(), drift[0].order), (1, Some(order.id)));
    app.start_worker();
    app.wait_for_statuses(&order, &["stuck"]).await;
    let stuck = operations::stuck(&app.database).await.unwrap();
    assert_eq!((stuck.len(), stuck[0].order), (1, order.id));
    assert!(app.env.clock.now() < order.expires_at);
}
