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

#[tokio::test]
async fn a_completion_delivered_before_its_order_is_retried() {
    let app = PaymentsApp::start();
    let order = app.undelivered_order();
    let early = app.service.deliver_once(&order_completed(&order)).await;
    assert!(matches!(early, Err(ListenError::Retry(_))));
    app.service.deliver(&order).await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_completed(&order)).await;
    app.wait_for_statuses(&order, &["captured"]).await;
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
async fn a_completion_of_a_cancelled_order_is_rejected() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_cancelled(&order)).await;
    let mut event = order_completed(&order);
    event.version = 2;
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"]);
}

#[tokio::test]
async fn a_completion_without_a_payment_is_rejected() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    let event = order_completed(&order);
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
}
