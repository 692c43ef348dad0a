use common::events::Subject;
use serde_json::json;

use crate::{OrdersApp, ticket_updated};

#[tokio::test]
async fn a_new_ticket_can_be_ordered() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let order = app.order(&app.buyer, ticket).await.expect(201);
    let expected = json!({"id": ticket.to_string(), "title": "Concert", "price": 19.99, "version": 0});
    assert_eq!(order["ticket"], expected);
}

#[tokio::test]
async fn a_repeated_event_does_not_undo_later_versions() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    app.service.deliver(&ticket_updated(&created, 1, "Opera", 2500)).await;
    app.service.deliver(&created).await;
    let order = app.order(&app.buyer, created.id).await.expect(201);
    assert_eq!((&order["ticket"]["title"], &order["ticket"]["version"]), (&json!("Opera"), &json!(1)));
}

#[tokio::test]
async fn copying_publishes_nothing() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    app.service.deliver(&ticket_updated(&created, 1, "Opera", 2500)).await;
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn malformed_events_are_rejected() {
    OrdersApp::new().expect_malformed_rejected(Subject::TicketCreated).await;
}
