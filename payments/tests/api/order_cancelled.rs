use common::listener::ListenError;
use testing::builders::{order_cancelled, order_completed};

use crate::{Fault, PaymentsApp};

#[tokio::test]
async fn an_authorised_payment_is_voided_once() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_cancelled(&order)).await;
    assert_eq!(app.statuses(&order).await, ["voided"]);
    assert_eq!(app.stripe.intents().await, [["cancel"]]);
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");
}

#[tokio::test]
async fn a_cancellation_delivered_before_its_order_is_retried() {
    let app = PaymentsApp::start().await;
    let order = app.undelivered_order();
    let early = app.service.deliver_once(&order_cancelled(&order)).await;
    assert!(matches!(early, Err(ListenError::Retry(_))));
    app.service.deliver(&order).await;
    app.service.deliver(&order_cancelled(&order)).await;
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");
}

#[tokio::test]
async fn a_cancellation_after_a_missing_version_is_retried() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    let mut event = order_cancelled(&order);
    event.version = 2;
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Retry(_))));
    app.pay(&order).await.expect(201);
}

#[tokio::test]
async fn a_cancellation_of_a_complete_order_is_rejected() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_completed(&order)).await;
    let mut event = order_cancelled(&order);
    event.version = 2;
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
    assert_eq!(app.statuses(&order).await, ["captured"]);
}

#[tokio::test]
async fn an_interrupted_void_is_repeated() {
    for fault in [Fault::NotSent, Fault::ResponseLost] {
        let app = PaymentsApp::start().await;
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        app.gateway.fail([fault]);
        let interrupted = app.service.deliver_once(&order_cancelled(&order)).await;
        assert!(matches!(interrupted, Err(ListenError::Retry(_))));
        assert_eq!(app.statuses(&order).await, ["authorised"]);
        app.service.deliver(&order_cancelled(&order)).await;
        assert_eq!(app.statuses(&order).await, ["voided"]);
        assert_eq!(app.stripe.intents().await, [["cancel"]]);
    }
}

#[tokio::test]
async fn a_cancellation_is_retried_while_a_payment_is_in_flight() {
    let mut app = PaymentsApp::start().await;
    let order = app.order().await;
    app.gateway.fail([Fault::ResponseLost]);
    app.pay(&order).await.expect(503);
    let early = app.service.deliver_once(&order_cancelled(&order)).await;
    assert!(matches!(early, Err(ListenError::Retry(_))));
    let _workers = app.service.start_workers();
    app.wait_for_statuses(&order, &["voided"]).await;
    app.service.deliver(&order_cancelled(&order)).await;
    assert_eq!(app.stripe.intents().await, [["cancel"]]);
}
