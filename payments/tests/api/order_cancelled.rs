use common::listener::ListenError;

use crate::{Fault, PaymentsApp, cancelled, completed};

#[tokio::test]
async fn what_was_authorised_is_voided_once() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&cancelled(&order)).await;
    assert_eq!(app.statuses(&order).await, ["voided"]);
    assert_eq!(app.stripe.intents().await, [["cancel"]]);
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");
}

#[tokio::test]
async fn a_cancellation_that_comes_first_waits_for_its_order() {
    let app = PaymentsApp::start().await;
    let order = app.order_on_its_way();
    let early = app.service.deliver_once(&cancelled(&order)).await;
    assert!(matches!(early, Err(ListenError::Retry(_))));
    app.service.deliver(&order).await;
    app.service.deliver(&cancelled(&order)).await;
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");
}

#[tokio::test]
async fn a_version_that_is_missing_is_waited_for() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    let mut event = cancelled(&order);
    event.version = 2;
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Retry(_))));
    app.pay(&order).await.expect(201);
}

#[tokio::test]
async fn a_complete_order_does_not_become_cancelled() {
    let app = PaymentsApp::start().await;
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.deliver(&completed(&order)).await;
    let mut event = cancelled(&order);
    event.version = 2;
    assert!(matches!(app.service.deliver_once(&event).await, Err(ListenError::Reject(_))));
    assert_eq!(app.statuses(&order).await, ["captured"]);
}

#[tokio::test]
async fn a_void_that_was_cut_off_is_repeated() {
    for fault in [Fault::NotSent, Fault::AnswerLost] {
        let app = PaymentsApp::start().await;
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        app.wire.fail([fault]);
        let cut_off = app.service.deliver_once(&cancelled(&order)).await;
        assert!(matches!(cut_off, Err(ListenError::Retry(_))));
        assert_eq!(app.statuses(&order).await, ["authorised"]);
        app.service.deliver(&cancelled(&order)).await;
        assert_eq!(app.statuses(&order).await, ["voided"]);
        assert_eq!(app.stripe.intents().await, [["cancel"]]);
    }
}

#[tokio::test]
async fn a_cancellation_waits_for_an_attempt_in_flight() {
    let mut app = PaymentsApp::start().await;
    let order = app.order().await;
    app.wire.fail([Fault::AnswerLost]);
    app.pay(&order).await.expect(503);
    let early = app.service.deliver_once(&cancelled(&order)).await;
    assert!(matches!(early, Err(ListenError::Retry(_))));
    let _workers = app.service.start_workers();
    app.wait_for_statuses(&order, &["voided"]).await;
    app.service.deliver(&cancelled(&order)).await;
    assert_eq!(app.stripe.intents().await, [["cancel"]]);
}
