use std::time::Duration;

use common::events::Subject;
use serde_json::json;

use crate::{OrdersApp, RESERVATION, ended, time_is_up, unknown_order};

#[tokio::test]
async fn an_order_is_cancelled_once_and_no_earlier_than_its_time_is_up() {
    let app = OrdersApp::new();
    let order = app.placed_order().await;
    let mut expected = app.found(order).await;
    app.expect_retry(&time_is_up(order)).await;
    app.env.clock.advance(RESERVATION - Duration::from_millis(1));
    app.expect_retry(&time_is_up(order)).await;
    app.expect_unchanged(order, "created", 0).await;

    app.env.clock.advance(Duration::from_millis(1));
    app.service.deliver(&time_is_up(order)).await;
    (expected["status"], expected["version"]) = (json!("cancelled"), json!(1));
    assert_eq!(app.found(order).await, expected);
    assert_eq!(app.service.published().await, [ended(Subject::OrderCancelled, &expected)]);
}

#[tokio::test]
async fn an_expired_order_sets_its_ticket_free() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await;
    let order = app.placed_order_of(ticket).await;
    app.let_orders_expire();
    // Until it is cancelled it is live.
    app.order(&app.buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    app.service.deliver(&time_is_up(order)).await;
    app.order(&app.buyer, ticket).await.expect(201);
}

#[tokio::test]
async fn a_complete_order_is_never_cancelled() {
    let app = OrdersApp::new();
    let order = app.placed_order().await;
    app.service.deliver(&app.payment_created(order)).await;
    app.service.published().await;
    app.let_orders_expire();
    app.service.deliver(&time_is_up(order)).await;
    app.expect_unchanged(order, "complete", 1).await;
}

#[tokio::test]
async fn an_order_its_buyer_cancelled_stays_as_it_is() {
    let app = OrdersApp::new();
    let order = app.placed_order().await;
    app.cancel(order).await.expect(204);
    app.service.published().await;
    app.let_orders_expire();
    app.service.deliver(&time_is_up(order)).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn what_makes_no_sense_is_rejected() {
    let app = OrdersApp::new();
    app.expect_reject(&time_is_up(unknown_order())).await;
    app.expect_events_only(Subject::ExpirationComplete).await;
}
