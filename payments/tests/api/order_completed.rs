use common::listener::ListenError;
use testing::builders::{order_cancelled, order_completed};

use crate::PaymentsApp;
use crate::line::Fault;

#[tokio::test]
async fn an_authorised_payment_is_captured_once() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_completed(&order)).await;
    app.wait_for_statuses(&order, &["captured"]).await;
    assert_eq!(app.line.statuses().await, ["succeeded"]);
}

/// Each event carries the whole order, so the copy need not exist, nor have the version before.
#[tokio::test]
async fn a_completion_needs_no_earlier_event() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    let mut completed = order_completed(&order);
    completed.version = 7;
    app.service.deliver(&completed).await;
    app.wait_for_statuses(&order, &["captured"]).await;
    // Late events change nothing.
    app.service.deliver(&order_cancelled(&order)).await;
    app.service.deliver(&order).await;
    app.pay(&order).await.expect_error(400, "Order is already paid");
    assert_eq!(app.line.statuses().await, ["succeeded"]);
}

#[tokio::test]
async fn an_interrupted_capture_is_finished_once() {
    for fault in [Fault::NotSent, Fault::ResponseLost] {
        let app = PaymentsApp::start();
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        app.line.fail([fault, fault]);
        app.service.deliver(&order_completed(&order)).await;
        app.wait_for_statuses(&order, &["captured"]).await;
        assert_eq!(app.line.statuses().await, ["succeeded"]);
    }
}

#[tokio::test]
async fn a_completion_without_a_payment_is_rejected() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    let event = order_completed(&order);
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
}
