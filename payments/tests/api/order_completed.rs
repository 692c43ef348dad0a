use common::listener::ListenError;

use crate::{Fault, PaymentsApp, cancelled, completed};

#[tokio::test]
async fn what_was_authorised_is_captured_once() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&completed(&order)).await;
    assert_eq!(app.statuses(&order).await, ["captured"]);
    assert_eq!(app.stripe.intents().await, [["capture"]]);
}

#[tokio::test]
async fn a_completion_that_comes_first_waits_for_its_order() {
    let app = PaymentsApp::start().await;
    let order = app.order_on_its_way();
    let early = app.service.deliver_once(&completed(&order)).await;
    assert!(matches!(early, Err(ListenError::Retry(_))));
    app.service.deliver(&order).await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&completed(&order)).await;
    assert_eq!(app.statuses(&order).await, ["captured"]);
}

#[tokio::test]
async fn a_capture_that_was_cut_off_is_repeated() {
    for fault in [Fault::NotSent, Fault::AnswerLost] {
        let app = PaymentsApp::start().await;
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        app.wire.fail([fault]);
        let cut_off = app.service.deliver_once(&completed(&order)).await;
        assert!(matches!(cut_off, Err(ListenError::Retry(_))));
        assert_eq!(app.statuses(&order).await, ["authorised"]);
        app.service.deliver(&completed(&order)).await;
        assert_eq!(app.statuses(&order).await, ["captured"]);
        assert_eq!(app.stripe.intents().await, [["capture"]]);
    }
}

#[tokio::test]
async fn a_cancelled_order_does_not_become_complete() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&cancelled(&order)).await;
    let mut event = completed(&order);
    event.version = 2;
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
    assert_eq!(app.stripe.intents().await, [["cancel"]]);
}

#[tokio::test]
async fn a_complete_order_without_a_payment_is_put_aside() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    let event = completed(&order);
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
}
