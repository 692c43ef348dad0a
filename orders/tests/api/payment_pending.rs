use common::events::Subject;
use serde_json::json;

use crate::{OrdersApp, expiration_complete, order_ended, unknown_order};

#[tokio::test]
async fn an_order_whose_payment_is_pending_awaits_payment_once() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    let mut expected = app.find_order(order).await;
    app.service.deliver(&app.payment_pending(order)).await;
    (expected["status"], expected["version"]) = (json!("awaiting:payment"), json!(1));
    assert_eq!(app.find_order(order).await, expected);
    let updated = json!({
        "id": expected["id"],
        "version": 1,
        "status": "awaiting:payment",
        "userId": app.buyer.id.to_string(),
        "expiresAt": expected["expiresAt"],
        "ticket": {"id": expected["ticket"]["id"], "price": expected["ticket"]["price"]},
    });
    assert_eq!(app.service.published().await, [(Subject::OrderUpdated, updated)]);
}

#[tokio::test]
async fn a_second_pending_payment_changes_nothing() {
    let app = OrdersApp::new();
    let order = app.place_order_awaiting_payment().await;
    app.service.deliver(&app.payment_pending(order)).await;
    app.expect_unchanged(order, "awaiting:payment", 1).await;
}

#[tokio::test]
async fn an_order_that_awaits_payment_completes_when_paid() {
    let app = OrdersApp::new();
    let order = app.place_order_awaiting_payment().await;
    app.service.deliver(&app.payment_created(order)).await;
    let found = app.find_order(order).await;
    assert_eq!((&found["status"], &found["version"]), (&json!("complete"), &json!(2)));
    assert_eq!(app.service.published().await, [order_ended(Subject::OrderCompleted, &found)]);
}

#[tokio::test]
async fn an_order_that_awaits_payment_can_still_expire() {
    let app = OrdersApp::new();
    let order = app.place_order_awaiting_payment().await;
    app.expect_retry(&expiration_complete(order)).await;
    app.advance_past_expiry();
    app.service.deliver(&expiration_complete(order)).await;
    let found = app.find_order(order).await;
    assert_eq!((&found["status"], &found["version"]), (&json!("cancelled"), &json!(2)));
    assert_eq!(app.service.published().await, [order_ended(Subject::OrderCancelled, &found)]);
}

#[tokio::test]
async fn an_order_that_awaits_payment_holds_its_ticket_until_its_buyer_cancels() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let order = app.place_order_of(ticket).await;
    app.service.deliver(&app.payment_pending(order)).await;
    app.order(&app.buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    app.cancel(order).await.expect(204);
    app.order(&app.buyer, ticket).await.expect(201);
}

#[tokio::test]
async fn a_cancelled_order_never_awaits_payment() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.cancel(order).await.expect(204);
    app.service.published().await;
    app.service.deliver(&app.payment_pending(order)).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

/// The events of a payment may arrive in any order.
#[tokio::test]
async fn a_complete_order_never_awaits_payment() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.service.deliver(&app.payment_created(order)).await;
    app.service.published().await;
    app.service.deliver(&app.payment_pending(order)).await;
    app.expect_unchanged(order, "complete", 1).await;
}

#[tokio::test]
async fn malformed_events_and_unknown_records_are_rejected() {
    let app = OrdersApp::new();
    app.expect_reject(&app.payment_pending(unknown_order())).await;
    app.expect_malformed_rejected(Subject::PaymentPending).await;
}
