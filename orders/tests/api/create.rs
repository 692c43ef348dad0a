use std::fmt::Display;

use common::events::Subject;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testing::snapshots::with_named_ids;

use crate::{ORDERS, OrdersApp, expect_session_first, id_of, ticket_updated, unknown_ticket};

const TICKET_ID: (&str, &str) = ("ticketId", "TicketId must be provided");

#[tokio::test]
async fn creating_an_order_returns_and_publishes_it() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let order = app.order(&app.buyer, ticket).await.expect(201);
    let id = id_of(&order);
    let ids: [(&str, &dyn Display); 3] = [("ORDER", &id), ("BUYER", &app.buyer.id), ("TICKET", &ticket)];
    // The clock stands at noon and orders last 15 minutes.
    assert_json_snapshot!(with_named_ids(&order, &ids), @r#"
    {
      "expiresAt": "2026-01-31T12:15:00.000Z",
      "id": "ORDER",
      "status": "created",
      "ticket": {
        "id": "TICKET",
        "price": 19.99,
        "title": "Concert",
        "version": 0
      },
      "userId": "BUYER",
      "version": 0
    }
    "#);
    assert_eq!(app.find_order(id).await, order);

    let published = app.service.published().await;
    assert_eq!(published.len(), 1);
    let (subject, event) = &published[0];
    assert_eq!(*subject, Subject::OrderCreated);
    assert_json_snapshot!(with_named_ids(event, &ids), @r#"
    {
      "expiresAt": "2026-01-31T12:15:00.000Z",
      "id": "ORDER",
      "status": "created",
      "ticket": {
        "id": "TICKET",
        "price": 19.99
      },
      "userId": "BUYER",
      "version": 0
    }
    "#);
}

#[tokio::test]
async fn an_order_keeps_the_ticket_as_ordered() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    app.service.deliver(&ticket_updated(&created, 1, "Opera", 2500)).await;
    let id = app.place_order_of(created.id).await;
    app.service.deliver(&ticket_updated(&created, 2, "Ballet", 9900)).await;
    let ticket = json!({"id": created.id.to_string(), "title": "Opera", "price": 25, "version": 1});
    assert_eq!(app.find_order(id).await["ticket"], ticket);
}

#[tokio::test]
async fn an_unknown_ticket_is_not_found() {
    let app = OrdersApp::new();
    app.new_ticket().await;
    app.order(&app.buyer, unknown_ticket()).await.expect_error(404, "Not Found");
    assert_eq!(app.service.published().await, []);
}

/// The request is polled before the event, so its first lookup finds nothing.
#[tokio::test]
async fn ordering_waits_for_a_ticket_that_is_arriving() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let (order, ()) = tokio::join!(app.order(&app.buyer, created.id), app.service.deliver(&created));
    assert_eq!(order.expect(201)["ticket"]["id"], created.id.to_string());
}

#[tokio::test]
async fn a_reserved_ticket_cannot_be_ordered() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    app.place_order_of(ticket).await;
    for buyer in [&app.env.user("eve"), &app.buyer] {
        app.order(buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    }
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn invalid_bodies_are_refused() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let good = json!({"ticketId": ticket.to_string()}).to_string();
    let post = || app.service.post(ORDERS).by(&app.buyer);
    let send = |body: String| post().header("content-type", "application/json").body(body).send();
    post().body(good.clone()).send().await.expect_error(415, "Expected application/json");
    let text = post().header("content-type", "text/plain").body(good.clone()).send().await;
    text.expect_error(415, "Expected application/json");
    for broken in ["", "{", "[]", "null", "\"text\"", "7", &good[1..]] {
        send(broken.to_owned()).await.expect_error(400, "Request body is not valid JSON");
    }
    send(" ".repeat(200_000) + &good).await.expect_error(413, "Payload Too Large");
    send("{}".to_owned()).await.expect_invalid(&[TICKET_ID]);
    for id in [json!(null), json!(""), json!("1"), json!("z".repeat(24)), json!(7), json!([ticket.to_string()])] {
        send(json!({"ticketId": id}).to_string()).await.expect_invalid(&[TICKET_ID]);
    }
    assert_eq!(app.service.published().await, []);
    send(good).await.expect(201);
}

#[tokio::test]
async fn the_session_is_checked_first() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    expect_session_first(&app, || app.service.post(ORDERS).body("{")).await;
    expect_session_first(&app, || app.service.post(ORDERS).json(&json!({"ticketId": ticket.to_string()}))).await;
}

#[tokio::test]
async fn clients_can_set_only_the_ticket() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await.to_string();
    let other_id = "0123456789abcdef01234567";
    let body = json!({
        "ticketId": ticket, "id": other_id, "userId": other_id, "status": "complete", "version": 7,
        "expiresAt": "2036-01-31T12:00:00.000Z", "ticket": {"price": 0.01},
    });
    let order = app.service.post(ORDERS).by(&app.buyer).json(&body).send().await.expect(201);
    assert_ne!(order["id"], other_id);
    assert_eq!(order["userId"], app.buyer.id.to_string());
    assert_eq!((&order["status"], &order["version"]), (&json!("created"), &json!(0)));
    assert_eq!((&order["ticket"]["price"], &order["liveTicketId"]), (&json!(19.99), &Value::Null));
    assert_eq!(order["expiresAt"], "2026-01-31T12:15:00.000Z");
}
