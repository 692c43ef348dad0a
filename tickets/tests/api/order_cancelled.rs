use common::events::Subject;
use common::listener::ListenError;
use serde_json::{Value, json};

use crate::{TicketsApp, cancelled, updated};

#[tokio::test]
async fn a_cancelled_order_releases_its_ticket_once() {
    let app = TicketsApp::new();
    let (id, order) = app.reserved_ticket().await;
    app.service.deliver(&cancelled(&order)).await;
    let expected = json!({
        "id": id.to_string(), "title": "Concert", "price": 20, "userId": app.seller.id.to_string(), "version": 2,
    });
    assert_eq!(app.ticket(id).await, expected);
    assert_eq!(app.service.published().await, [updated(&expected)]);
}

#[tokio::test]
async fn another_order_never_releases_a_ticket() {
    let app = TicketsApp::new();
    let (id, order) = app.reserved_ticket().await;
    app.service.deliver(&cancelled(&app.order(id))).await;
    assert_eq!(app.ticket(id).await["orderId"], order.id.to_string());
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn a_released_ticket_is_reserved_by_the_next_order() {
    let app = TicketsApp::new();
    let (id, order) = app.reserved_ticket().await;
    app.service.deliver(&cancelled(&order)).await;
    let next = app.order(id);
    app.service.deliver(&next).await;
    assert_eq!(app.ticket(id).await["orderId"], next.id.to_string());
    assert_eq!(app.ticket(id).await["version"], 3);
    app.service.deliver(&cancelled(&next)).await;
    assert_eq!(app.ticket(id).await["orderId"], Value::Null);
}

#[tokio::test]
async fn what_does_not_parse_is_rejected() {
    let app = TicketsApp::new();
    for payload in ["", "{", "{}", "[]", "null", r#"{"id": "1"}"#] {
        let delivered = app.service.deliver_payload(Subject::OrderCancelled, payload).await;
        assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    }
}
