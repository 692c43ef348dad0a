//! Cards that require a further step of their owner.

use common::events::Subject;
use serde_json::json;
use testing::builders::{RESERVATION, order_cancelled, order_updated};

use crate::PaymentsApp;

const CARD: &str = "pm_card_threeDSecure2Required";

#[tokio::test]
async fn the_buyer_gets_a_secret_and_the_order_waits() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    let reply = app.pay_with(&order, CARD).await.expect(202);
    let secret = app.line.intents().await[0]["client_secret"].clone();
    let (id, expected) = (reply["id"].clone(), json!({"orderId": order.id, "status": "requires_action"}));
    assert_eq!(reply, json!({"id": id, "orderId": order.id, "status": expected["status"], "clientSecret": secret}));
    let pending = (Subject::PaymentPending, json!({"id": id, "orderId": order.id}));
    assert_eq!(app.service.published().await, [pending]);
    let stored = serde_json::to_string(&app.stored().await).unwrap();
    assert!(!stored.contains(secret.as_str().unwrap()), "{stored}");
    // Another tab continues the same payment.
    assert_eq!(app.pay(&order).await.expect(202), reply);
    assert_eq!(app.line.intents().await.len(), 1);
}

#[tokio::test]
async fn a_confirmed_step_authorises_the_payment() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay_with(&order, CARD).await.expect(202);
    app.service.deliver(&order_updated(&order)).await;
    app.service.published().await;
    app.line.act_at_stripe("authenticate").await;
    app.wait_for_statuses(&order, &["authorised"]).await;
    assert_eq!(app.service.published().await[0].0, Subject::PaymentCreated);
}

#[tokio::test]
async fn after_a_failed_step_another_card_may_be_used() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay_with(&order, CARD).await.expect(202);
    app.line.act_at_stripe("fail_authentication").await;
    app.wait_for_statuses(&order, &["declined"]).await;
    app.pay(&order).await.expect(201);
    assert_eq!(app.line.statuses().await, ["requires_capture", "canceled"]);
}

#[tokio::test]
async fn an_order_that_ends_before_the_step_ends_the_intent() {
    let app = PaymentsApp::start();
    let (expired, cancelled) = (app.order().await, app.order().await);
    app.pay_with(&expired, CARD).await.expect(202);
    app.pay_with(&cancelled, CARD).await.expect(202);
    app.service.deliver(&order_updated(&cancelled)).await;
    let mut event = order_cancelled(&cancelled);
    event.version = 2;
    app.service.deliver(&event).await;
    app.wait_for_statuses(&cancelled, &["voided"]).await;
    app.env.clock.advance(RESERVATION);
    app.wait_for_statuses(&expired, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"; 2]);
}
