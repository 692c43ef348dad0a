use common::events::Subject;
use serde_json::{Value, json};

use crate::{ORDERS, OrdersApp, expect_session_first, expiration_complete, order_ended, path, unknown_order};

#[tokio::test]
async fn cancelling_twice_publishes_one_event() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    let before = app.find_order(order).await;
    for _ in 0..2 {
        assert_eq!(app.cancel(order).await.expect(204), Value::Null);
    }
    let mut expected = before;
    (expected["status"], expected["version"]) = (json!("cancelled"), json!(1));
    assert_eq!(app.find_order(order).await, expected);
    // The event carries what the order's own view has, but of the ticket only its id and price.
    let mut cancelled = expected.clone();
    cancelled["ticket"] = json!({"id": expected["ticket"]["id"], "price": 19.99});
    assert_eq!(order_ended(Subject::OrderCancelled, &expected).1, cancelled);
    assert_eq!(app.service.published().await, [(Subject::OrderCancelled, cancelled)]);
}

#[tokio::test]
async fn twenty_concurrent_cancellations_are_one_change() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    for reply in futures_util::future::join_all((0..20).map(|_| app.cancel(order))).await {
        reply.expect(204);
    }
    assert_eq!(app.service.published().await.len(), 1);
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn cancelling_an_expired_order_changes_nothing() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.advance_past_expiry();
    app.service.deliver(&expiration_complete(order)).await;
    app.service.published().await;
    app.cancel(order).await.expect(204);
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn a_complete_order_cannot_be_cancelled() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.service.deliver(&app.payment_created(order)).await;
    app.service.published().await;
    app.cancel(order).await.expect_error(400, "Cannot cancel a completed order");
    app.expect_unchanged(order, "complete", 1).await;
}

/// Session, existence, ownership, state: each request passes the checks before one of them and fails the rest.
#[tokio::test]
async fn checks_run_in_order() {
    let app = OrdersApp::new();
    let other = app.env.user("eve");
    let unknown = unknown_order().to_string();
    for id in [&unknown, "1", "zzzzzzzzzzzzzzzzzzzzzzzz", "0123456789abcdef012345678", "%ff"] {
        let path = format!("{ORDERS}/{id}");
        expect_session_first(&app, || app.service.delete(&path)).await;
        app.service.delete(&path).by(&other).send().await.expect_error(404, "Not Found");
    }
    let order = app.place_order().await;
    let by_other = || app.service.delete(&path(order)).by(&other).send();
    expect_session_first(&app, || app.service.delete(&path(order))).await;
    by_other().await.expect_error(401, "Not authorized");
    app.expect_unchanged(order, "created", 0).await;
    app.service.deliver(&app.payment_created(order)).await;
    by_other().await.expect_error(401, "Not authorized");
}
