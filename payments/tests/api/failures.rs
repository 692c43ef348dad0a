//! Stripe fails as documented: it stores a failure under the idempotency key of the request for a day.

use std::time::Duration;

use common::events::Subject;
use serde_json::json;
use testing::builders::{RESERVATION, order_cancelled, order_completed};

use crate::PaymentsApp;

#[tokio::test]
async fn after_a_failed_creation_the_buyer_can_pay_at_once() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.fail_at_stripe(json!({"operation": "create", "fault": "error"})).await;
    app.pay(&order).await.expect(503);
    app.pay(&order).await.expect(201);
    assert_eq!(app.statuses(&order).await, ["authorised", "voided"]);
}

#[tokio::test]
async fn a_confirmation_that_fails_once_succeeds_with_another_key() {
    for fault in ["error", "errorAfter", "lostResponse", "rateLimited", "conflict"] {
        let app = PaymentsApp::start();
        let order = app.order().await;
        app.line.fail_at_stripe(json!({"operation": "confirm", "fault": fault})).await;
        app.pay(&order).await.expect(201);
        assert_eq!(app.line.statuses().await, ["requires_capture"], "{fault}");
    }
}

#[tokio::test]
async fn a_confirmation_that_keeps_failing_holds_nothing() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.fail_at_stripe(json!({"operation": "confirm", "fault": "error", "times": 2})).await;
    app.pay(&order).await.expect(503);
    assert_eq!(
        (app.statuses(&order).await, app.line.statuses().await),
        (vec!["voided".into()], vec!["canceled".into()])
    );
    app.pay(&order).await.expect(201);
}

#[tokio::test]
async fn a_failed_capture_is_repeated_with_another_key() {
    for fault in ["error", "errorAfter"] {
        let app = PaymentsApp::start();
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        app.line.fail_at_stripe(json!({"operation": "capture", "fault": fault})).await;
        app.service.deliver(&order_completed(&order)).await;
        app.wait_for_statuses(&order, &["captured"]).await;
        assert_eq!(app.line.statuses().await, ["succeeded"], "{fault}");
    }
}

#[tokio::test]
async fn a_failed_void_is_repeated_with_another_key() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.line.fail_at_stripe(json!({"operation": "cancel", "fault": "error", "times": 2})).await;
    app.service.deliver(&order_cancelled(&order)).await;
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"]);
}

#[tokio::test]
async fn a_buyer_who_got_an_error_is_not_charged_later() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.set_down(true);
    app.pay(&order).await.expect(503);
    app.env.clock.advance(Duration::from_secs(3600));
    app.line.set_down(false);
    app.service.deliver(&order_cancelled(&order)).await;
    app.wait_for_statuses(&order, &["voided"]).await;
    assert!(app.line.statuses().await.iter().all(|status| status == "canceled"));
}

#[tokio::test]
async fn an_intent_in_processing_is_neither_declined_nor_forgotten() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay_with(&order, "tok_processing").await.expect(503);
    assert_eq!(app.statuses(&order).await, ["confirming"]);
    app.pay(&order).await.expect_error(400, "A payment for this order is in progress");
    app.line.act_at_stripe("settle").await;
    app.wait_for_statuses(&order, &["authorised"]).await;
    assert_eq!(app.line.intents().await.len(), 1);

    let order = app.order().await;
    app.pay_with(&order, "tok_processing").await.expect(503);
    app.env.clock.advance(RESERVATION);
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await[0], "canceled");
}

#[tokio::test]
async fn a_hold_that_is_gone_fails_the_payment() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.service.published().await;
    app.line.act_at_stripe("cancel").await;
    app.service.deliver(&order_completed(&order)).await;
    app.wait_for_statuses(&order, &["stuck"]).await;
    let published = app.service.published().await;
    let id = &app.stored().await[0]["id"];
    let failed = json!({"id": id, "orderId": order.id, "reason": "capture_failed"});
    assert_eq!(published, [(Subject::PaymentFailed, failed)]);
    let mut cancelled = order_cancelled(&order);
    cancelled.version = 2;
    app.service.deliver(&cancelled).await;
    app.wait_for_statuses(&order, &["voided"]).await;
}
