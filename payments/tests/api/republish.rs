//! Announcing payments again.

use common::clock::Timestamp;
use common::events::Subject;
use serde_json::{Value, json};
use testing::builders::{order_cancelled, order_completed};

use crate::PaymentsApp;

async fn announced(app: &PaymentsApp) -> Vec<(Subject, Value)> {
    app.service.republished(payments::RECORDS, Timestamp::from_millis(0)).await
}

#[tokio::test]
async fn a_payment_that_holds_money_is_announced_as_created() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    let first = app.service.published().await;
    assert_eq!(first[0].0, Subject::PaymentCreated);
    assert_eq!(announced(&app).await, first);
    app.service.deliver(&order_completed(&order)).await;
    app.wait_for_statuses(&order, &["captured"]).await;
    assert_eq!(announced(&app).await, first);
}

#[tokio::test]
async fn a_payment_without_consequences_is_not_announced() {
    let app = PaymentsApp::start();
    let declined = app.order().await;
    app.pay_with(&declined, "tok_chargeDeclined").await.expect(402);
    app.wait_for_statuses(&declined, &["declined"]).await;
    let voided = app.order().await;
    app.pay(&voided).await.expect(201);
    app.service.deliver(&order_cancelled(&voided)).await;
    app.wait_for_statuses(&voided, &["voided"]).await;
    assert_eq!(announced(&app).await, []);
}

#[tokio::test]
async fn a_payment_that_waits_or_was_refunded_is_announced_so() {
    let app = PaymentsApp::start();
    let waiting = app.order().await;
    app.pay_with(&waiting, "tok_threeDSecure2Required").await.expect(202);
    let refunded = app.captured_order().await;
    app.service.published().await;
    payments::operations::refund(&app.database, refunded.id).await.expect("scheduled");
    app.wait_for_statuses(&refunded, &["refunded"]).await;
    let announced = announced(&app).await;
    let facts: Vec<_> = announced.iter().map(|(subject, event)| (*subject, event["orderId"].clone())).collect();
    let expected = [(Subject::PaymentFailed, json!(refunded.id)), (Subject::PaymentPending, json!(waiting.id))];
    assert_eq!(facts, expected);
    assert_eq!(announced[0].1["reason"], "refunded");
}
