use testing::builders::{order_cancelled, order_completed};

use crate::PaymentsApp;
use crate::line::Fault;

#[tokio::test]
async fn an_authorised_payment_is_voided_once() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_cancelled(&order)).await;
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"]);
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");
}

/// Each event carries the whole order, so the copy need not exist, nor have the version before.
#[tokio::test]
async fn a_cancellation_needs_no_earlier_event() {
    let app = PaymentsApp::start();
    let order = app.undelivered_order();
    let mut cancelled = order_cancelled(&order);
    cancelled.version = 7;
    app.service.deliver(&cancelled).await;
    // Late events change nothing.
    app.service.deliver(&order).await;
    app.service.deliver(&order_completed(&order)).await;
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");
}

/// A complete order is cancelled if its payment failed or was refunded.
#[tokio::test]
async fn the_payment_of_a_complete_order_is_refunded() {
    let app = PaymentsApp::start();
    let order = app.captured_order().await;
    let mut event = order_cancelled(&order);
    event.version = 2;
    app.service.deliver(&event).await;
    app.wait_for_statuses(&order, &["refunded"]).await;
    assert_eq!(app.line.statuses().await, ["refunded"]);
}

#[tokio::test]
async fn an_interrupted_void_is_finished_once() {
    for fault in [Fault::NotSent, Fault::ResponseLost] {
        let app = PaymentsApp::start();
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        app.line.fail([fault, fault]);
        app.service.deliver(&order_cancelled(&order)).await;
        app.wait_for_statuses(&order, &["voided"]).await;
        assert_eq!(app.line.statuses().await, ["canceled"]);
    }
}

#[tokio::test]
async fn a_payment_with_an_unknown_outcome_is_voided() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    // Creating succeeds; confirming holds the amount, but neither that response nor the next arrives.
    app.line.fail([None, Some(Fault::ResponseLost), Some(Fault::NotSent)]);
    app.pay(&order).await.expect(503);
    assert_eq!(app.line.statuses().await, ["requires_capture"]);
    app.service.deliver(&order_cancelled(&order)).await;
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"]);
    assert!(app.service.published().await.is_empty());
}
