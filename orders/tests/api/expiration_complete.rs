use std::time::Duration;

use common::events::Subject;
use common::listener::ListenError;
use serde_json::json;

use crate::{OrdersApp, RESERVATION, expiration_complete, order_ended, unknown_order};

#[tokio::test]
async fn an_order_expires_once_and_no_earlier_than_expires_at() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    let mut expected = app.find_order(order).await;
    // The clock of the expiration service is ahead: the event is handled exactly when the order expires.
    for (advance, left) in [(0, RESERVATION.as_millis()), (899_999, 1)] {
        app.env.clock.advance(Duration::from_millis(advance));
        let delivered = app.service.deliver_once(&expiration_complete(order)).await;
        let Err(ListenError::RetryAfter(delay, _)) = delivered else { panic!("{delivered:?}") };
        assert_eq!(delay.as_millis(), left);
    }
    app.expect_unchanged(order, "created", 0).await;

    app.env.clock.advance(Duration::from_millis(1));
    app.service.deliver(&expiration_complete(order)).await;
    (expected["status"], expected["version"]) = (json!("cancelled"), json!(1));
    assert_eq!(app.find_order(order).await, expected);
    assert_eq!(app.service.published().await, [order_ended(Subject::OrderCancelled, &expected)]);
}

#[tokio::test]
async fn an_expired_order_frees_its_ticket() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let order = app.place_order_of(ticket).await;
    app.advance_past_expiry();
    // An expired order is live until it is cancelled.
    app.order(&app.buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    app.service.deliver(&expiration_complete(order)).await;
    app.order(&app.buyer, ticket).await.expect(201);
}

#[tokio::test]
async fn a_complete_order_never_expires() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.service.deliver(&app.payment_created(order)).await;
    app.service.published().await;
    app.advance_past_expiry();
    app.service.deliver(&expiration_complete(order)).await;
    app.expect_unchanged(order, "complete", 1).await;
}

#[tokio::test]
async fn an_order_cancelled_by_its_buyer_never_expires() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.cancel(order).await.expect(204);
    app.service.published().await;
    app.advance_past_expiry();
    app.service.deliver(&expiration_complete(order)).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn malformed_events_and_unknown_records_are_rejected() {
    let app = OrdersApp::new();
    app.expect_reject(&expiration_complete(unknown_order())).await;
    app.expect_malformed_rejected(Subject::ExpirationComplete).await;
}
