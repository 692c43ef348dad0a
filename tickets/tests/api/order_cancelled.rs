use common::events::Subject;
use common::listener::ListenError;
use serde_json::{Value, json};
use testing::builders::order_cancelled;

use crate::{TicketsApp, ticket_updated};

#[tokio::test]
async fn a_cancelled_order_releases_its_ticket_once() {
    let app = TicketsApp::new();
    let (id, order) = app.new_reserved_ticket().await;
    app.service.deliver(&order_cancelled(&order)).await;
    let expected = json!({
        "id": id.to_string(), "title": "Concert", "price": 20, "userId": app.seller.id.to_string(), "version": 2,
    });
    assert_eq!(app.find_ticket(id).await, expected);
    assert_eq!(app.service.published().await, [ticket_updated(&expected)]);
}

#[tokio::test]
async fn another_order_never_releases_a_ticket() {
    let app = TicketsApp::new();
    let (id, order) = app.new_reserved_ticket().await;
    app.service.deliver(&order_cancelled(&app.order_created(id))).await;
    assert_eq!(app.find_ticket(id).await["orderId"], order.id.to_string());
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn a_released_ticket_can_be_reserved_again() {
    let app = TicketsApp::new();
    let (id, order) = app.new_reserved_ticket().await;
    app.service.deliver(&order_cancelled(&order)).await;
    let next = app.order_created(id);
    app.service.deliver(&next).await;
    assert_eq!(app.find_ticket(id).await["orderId"], next.id.to_string());
    assert_eq!(app.find_ticket(id).await["version"], 3);
    app.service.deliver(&order_cancelled(&next)).await;
    assert_eq!(app.find_ticket(id).await["orderId"], Value::Null);
}

#[tokio::test]
async fn malformed_events_are_rejected() {
    let app = TicketsApp::new();
    for payload in ["", "{", "{}", "[]", "null", r#"{"id": "1"}"#] {
        let delivered = app.service.deliver_payload(Subject::OrderCancelled, payload).await;
        assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    }
}
