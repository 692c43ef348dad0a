use common::listener::ListenError;
use testing::builders::{order_cancelled, order_completed};

use crate::{Fault, PaymentsApp};

#[tokio::test]
async fn an_authorised_payment_is_captured_once() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_completed(&order)).await;
    assert_eq!(app.statuses(&order).await, ["captured"]);
    assert_eq!(app.stripe.intents().await, [["capture"]]);
}

#[tokio::test]
async fn a_completion_delivered_before_its_order_is_retried() {
    let app = PaymentsApp::start().await;
    let order = app.undelivered_order();
    let early = app.service.deliver_once(&order_completed(&order)).await;
    assert!(matches!(early, Err(ListenError::Retry(_))));
    app.service.deliver(&order).await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_completed(&order)).await;
    assert_eq!(app.statuses(&order).await, ["captured"]);
}

#[tokio::test]
async fn an_interrupted_capture_is_repeated() {
    for fault in [Fault::NotSent, Fault::ResponseLost] {
        let app = PaymentsApp::start().await;
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        app.gateway.fail([fault]);
        let interrupted = app.service.deliver_once(&order_completed(&order)).await;
        assert!(matches!(interrupted, Err(ListenError::Retry(_))));
        assert_eq!(app.statuses(&order).await, ["authorised"]);
        app.service.deliver(&order_completed(&order)).await;
        assert_eq!(app.statuses(&order).await, ["captured"]);
        assert_eq!(app.stripe.intents().await, [["capture"]]);
    }
}

#[tokio::test]
async fn a_completion_of_a_cancelled_order_is_rejected() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&order_cancelled(&order)).await;
    let mut event = order_completed(&order);
    event.version = 2;
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
    assert_eq!(app.stripe.intents().await, [["cancel"]]);
}

#[tokio::test]
async fn a_completion_without_a_payment_is_rejected() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    let event = order_completed(&order);
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
}
