use common::events::Subject;
use serde_json::{Value, json};

use crate::{PRICES, TICKETS, TicketsApp, expect_session_first, expect_ticket_bodies_only, id_of};

#[tokio::test]
async fn a_new_ticket_is_shown_and_announced() {
    let app = TicketsApp::new();
    let body = json!({"title": "  Concert\n", "price": 19.99});
    let ticket = app.service.post(TICKETS).by(&app.seller).json(&body).send().await.expect(201);
    let id = id_of(&ticket);
    let expected = json!({
        "id": id.to_string(), "title": "Concert", "price": 19.99, "userId": app.seller.id.to_string(), "version": 0,
    });
    assert_eq!(ticket, expected);
    assert_eq!(app.ticket(id).await, expected);
    assert_eq!(app.service.published().await, [(Subject::TicketCreated, expected)]);
}

#[tokio::test]
async fn titles_may_have_two_hundred_characters() {
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
    for (sent, shown) in PRICES {
        let body = format!(r#"{{"title": "Concert", "price": {sent}}}"#);
        let request = app.service.post(TICKETS).by(&app.seller).header("content-type", "application/json");
        let ticket = request.body(body).send().await.expect(201);
        assert_eq!(ticket["price"].to_string(), shown);
        assert_eq!(app.ticket(id_of(&ticket)).await["price"].to_string(), shown);
        assert_eq!(app.service.published().await[0].1["price"].to_string(), shown);
    }
}

#[tokio::test]
async fn what_is_no_ticket_is_refused() {
    let app = TicketsApp::new();
    expect_ticket_bodies_only(|| app.service.post(TICKETS).by(&app.seller)).await;
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
async fn clients_set_nothing_but_title_and_price() {
    let app = TicketsApp::new();
    let foreign = "0123456789abcdef01234567";
    let body = json!({
        "title": "Concert", "price": 20, "id": foreign, "userId": foreign, "orderId": foreign, "version": 7,
    });
    let ticket = app.service.post(TICKETS).by(&app.seller).json(&body).send().await.expect(201);
    assert_ne!(ticket["id"], foreign);
    assert_eq!(ticket["userId"], app.seller.id.to_string());
    assert_eq!((&ticket["version"], &ticket["orderId"]), (&json!(0), &Value::Null));
}
