use common::events::Subject;
use serde_json::{Value, json};

use crate::{ORDERS, OrdersApp, expect_session_first, id_of, unknown_ticket, updated};

const TICKET_ID: (&str, &str) = ("ticketId", "TicketId must be provided");

#[tokio::test]
async fn a_new_order_is_shown_and_announced() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await;
    let order = app.order(&app.buyer, ticket).await.expect(201);
    let id = id_of(&order);
    let (id_text, buyer, ticket) = (id.to_string(), app.buyer.id.to_string(), ticket.to_string());
    // A quarter of an hour after noon, where the clock stands.
    let expires = "2026-01-31T12:15:00.000Z";
    let expected = json!({
        "id": id_text, "userId": buyer, "status": "created", "expiresAt": expires, "version": 0,
        "ticket": {"id": ticket, "title": "Concert", "price": 19.99, "version": 0},
    });
    assert_eq!(order, expected);
    assert_eq!(app.found(id).await, expected);
    let event = json!({
        "id": id_text, "version": 0, "status": "created", "userId": buyer, "expiresAt": expires,
        "ticket": {"id": ticket, "price": 19.99},
    });
    assert_eq!(app.service.published().await, [(Subject::OrderCreated, event)]);
}

#[tokio::test]
async fn an_order_keeps_the_ticket_as_it_was() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    app.service.deliver(&updated(&created, 1, "Opera", 2500)).await;
    let id = app.placed_order_of(created.id).await;
    app.service.deliver(&updated(&created, 2, "Ballet", 9900)).await;
    let ticket = json!({"id": created.id.to_string(), "title": "Opera", "price": 25, "version": 1});
    assert_eq!(app.found(id).await["ticket"], ticket);
}

#[tokio::test]
async fn a_ticket_that_never_was_is_not_found() {
    let app = OrdersApp::new();
    app.ticket().await;
    app.order(&app.buyer, unknown_ticket()).await.expect_error(404, "Not Found");
    assert_eq!(app.service.published().await, []);
}

/// The first look finds nothing: the request is polled before the event.
#[tokio::test]
async fn a_ticket_that_is_just_arriving_is_waited_for() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let (order, ()) = tokio::join!(app.order(&app.buyer, created.id), app.service.deliver(&created));
    assert_eq!(order.expect(201)["ticket"]["id"], created.id.to_string());
}

#[tokio::test]
async fn a_reserved_ticket_is_refused() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await;
    app.placed_order_of(ticket).await;
    for buyer in [&app.env.user("eve"), &app.buyer] {
        app.order(buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    }
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn what_names_no_ticket_is_refused() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await;
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
    let ticket = app.ticket().await;
    expect_session_first(&app, || app.service.post(ORDERS).body("{")).await;
    expect_session_first(&app, || app.service.post(ORDERS).json(&json!({"ticketId": ticket.to_string()}))).await;
}

#[tokio::test]
async fn clients_set_nothing_but_the_ticket() {
    let app = OrdersApp::new();
    let ticket = app.ticket().await.to_string();
    let foreign = "0123456789abcdef01234567";
    let body = json!({
        "ticketId": ticket, "id": foreign, "userId": foreign, "status": "complete", "version": 7,
        "expiresAt": "2036-01-31T12:00:00.000Z", "ticket": {"price": 0.01},
    });
    let order = app.service.post(ORDERS).by(&app.buyer).json(&body).send().await.expect(201);
    assert_ne!(order["id"], foreign);
    assert_eq!(order["userId"], app.buyer.id.to_string());
    assert_eq!((&order["status"], &order["version"]), (&json!("created"), &json!(0)));
    assert_eq!((&order["ticket"]["price"], &order["liveTicketId"]), (&json!(19.99), &Value::Null));
    assert_eq!(order["expiresAt"], "2026-01-31T12:15:00.000Z");
}
