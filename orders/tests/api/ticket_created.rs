use common::events::Subject;
use serde_json::json;

use crate::{OrdersApp, updated};

#[tokio::test]
async fn a_new_ticket_can_be_ordered() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await;
    let order = app.order(&app.buyer, ticket).await.expect(201);
    let expected = json!({"id": ticket.to_string(), "title": "Concert", "price": 19.99, "version": 0});
    assert_eq!(order["ticket"], expected);
}

#[tokio::test]
async fn a_late_repeat_does_not_undo_what_followed() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    app.service.deliver(&updated(&created, 1, "Opera", 2500)).await;
    app.service.deliver(&created).await;
    let order = app.order(&app.buyer, created.id).await.expect(201);
    assert_eq!((&order["ticket"]["title"], &order["ticket"]["version"]), (&json!("Opera"), &json!(1)));
}

#[tokio::test]
async fn copying_publishes_nothing() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    app.service.deliver(&updated(&created, 1, "Opera", 2500)).await;
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn what_does_not_parse_is_rejected() {
    OrdersApp::new().expect_events_only(Subject::TicketCreated).await;
}
