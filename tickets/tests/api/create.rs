use common::events::Subject;
use insta::assert_json_snapshot;
use serde_json::{Value, json};
use testing::snapshots::with_named_ids;

use crate::{MINIMUM, TICKETS, TicketsApp, VALID_PRICES, expect_only_valid_tickets, expect_session_first, id_of};

#[tokio::test]
async fn creating_a_ticket_returns_and_publishes_it() {
    let app = TicketsApp::new();
    let body = json!({"title": "  Concert\n", "price": 19.99});
    let ticket = app.service.post(TICKETS).by(&app.seller).json(&body).send().await.expect(201);
    let id = id_of(&ticket);
    assert_json_snapshot!(with_named_ids(&ticket, &[("TICKET", &id), ("SELLER", &app.seller.id)]), @r#"
    {
      "id": "TICKET",
      "price": 19.99,
      "title": "Concert",
      "userId": "SELLER",
      "version": 0
    }
    "#);
    assert_eq!(app.find_ticket(id).await, ticket);
    assert_eq!(app.service.published().await, [(Subject::TicketCreated, ticket)]);
}

#[tokio::test]
async fn titles_of_1_to_200_characters_are_accepted() {
    let app = TicketsApp::new();
    for title in ["é", &"é".repeat(200)] {
        let body = json!({"title": format!(" {title} "), "price": 20});
        let ticket = app.service.post(TICKETS).by(&app.seller).json(&body).send().await.expect(201);
        assert_eq!(ticket["title"], title);
    }
}

#[tokio::test]
async fn prices_are_kept_to_the_cent() {
    let app = TicketsApp::new();
    for (sent, shown) in VALID_PRICES {
        let body = format!(r#"{{"title": "Concert", "price": {sent}}}"#);
        let request = app.service.post(TICKETS).by(&app.seller).header("content-type", "application/json");
        let ticket = request.body(body).send().await.expect(201);
        assert_eq!(ticket["price"].to_string(), shown);
        assert_eq!(app.find_ticket(id_of(&ticket)).await["price"].to_string(), shown);
        assert_eq!(app.service.published().await[0].1["price"].to_string(), shown);
    }
}

#[tokio::test]
async fn the_minimum_price_is_50_cents() {
    let app = TicketsApp::new();
    let create = |price| app.service.post(TICKETS).by(&app.seller).json(&json!({"title": "Concert", "price": price}));
    create(0.49).send().await.expect_invalid(&[MINIMUM]);
    assert_eq!(app.service.published().await, []);
    assert_eq!(create(0.5).send().await.expect(201)["price"], 0.5);
}

#[tokio::test]
async fn invalid_tickets_are_refused() {
    let app = TicketsApp::new();
    expect_only_valid_tickets(|| app.service.post(TICKETS).by(&app.seller)).await;
    assert_eq!(app.service.published().await, []);
    assert_eq!(app.service.get(TICKETS).send().await.expect(200), json!([]));
}

#[tokio::test]
async fn the_session_is_checked_before_the_body() {
    let app = TicketsApp::new();
    expect_session_first(&app, || app.service.post(TICKETS).body("{")).await;
    expect_session_first(&app, || app.service.post(TICKETS).json(&json!({"title": "Concert", "price": 20}))).await;
}

#[tokio::test]
async fn clients_can_set_only_title_and_price() {
    let app = TicketsApp::new();
    let other_id = "0123456789abcdef01234567";
    let body = json!({
        "title": "Concert", "price": 20, "id": other_id, "userId": other_id, "orderId": other_id, "version": 7,
    });
    let ticket = app.service.post(TICKETS).by(&app.seller).json(&body).send().await.expect(201);
    assert_ne!(ticket["id"], other_id);
    assert_eq!(ticket["userId"], app.seller.id.to_string());
    assert_eq!((&ticket["version"], &ticket["orderId"]), (&json!(0), &Value::Null));
}
