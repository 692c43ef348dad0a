use common::ids::TicketId;
use futures_util::future::join_all;
use serde_json::{Value, json};
use testing::builders::order_cancelled;

use crate::{
    TICKETS, TicketsApp, VALID_PRICES, expect_only_valid_tickets, expect_session_first, path, ticket_updated,
    unknown_ticket,
};

#[tokio::test]
async fn editing_a_ticket_returns_and_publishes_it() {
    let app = TicketsApp::new();
    let id = app.new_ticket().await;
    for version in 1..=3 {
        let body = json!({"title": format!(" Concert {version} "), "price": 19.99});
        let ticket = app.service.put(&path(id)).by(&app.seller).json(&body).send().await.expect(200);
        let expected = json!({
            "id": id.to_string(), "title": format!("Concert {version}"), "price": 19.99,
            "userId": app.seller.id.to_string(), "version": version,
        });
        assert_eq!(ticket, expected);
        assert_eq!(app.find_ticket(id).await, expected);
        assert_eq!(app.service.published().await, [ticket_updated(&expected)]);
    }
}

#[tokio::test]
async fn prices_are_kept_to_the_cent() {
    let app = TicketsApp::new();
    let id = app.new_ticket().await;
    for (sent, shown) in VALID_PRICES {
        let request = app.service.put(&path(id)).by(&app.seller).header("content-type", "application/json");
        let ticket = request.body(format!(r#"{{"title": "Concert", "price": {sent}}}"#)).send().await.expect(200);
        assert_eq!(ticket["price"].to_string(), shown);
        assert_eq!(app.find_ticket(id).await["price"].to_string(), shown);
    }
}

#[tokio::test]
async fn invalid_tickets_are_refused() {
    let app = TicketsApp::new();
    let id = app.new_ticket().await;
    let before = app.find_ticket(id).await;
    expect_only_valid_tickets(|| app.service.put(&path(id)).by(&app.seller)).await;
    assert_eq!(app.find_ticket(id).await, before);
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn a_reserved_ticket_cannot_be_edited_until_released() {
    let app = TicketsApp::new();
    let (id, order) = app.new_reserved_ticket().await;
    app.edit(id, "Other").await.expect_error(400, "Cannot edit a reserved ticket");
    assert_eq!(app.service.published().await, []);
    assert_eq!(app.find_ticket(id).await["title"], "Concert");
    app.service.deliver(&order_cancelled(&order)).await;
    assert_eq!(app.edit(id, "Other").await.expect(200)["version"], 3);
}

/// Session, body, existence, ownership, state: each request passes the checks before one of them and fails the rest.
#[tokio::test]
async fn checks_run_in_order() {
    let app = TicketsApp::new();
    let (reserved, _) = app.new_reserved_ticket().await;
    let other = app.env.user("bob");
    let (good, bad) = (json!({"title": "Other", "price": 30}), json!({}));
    let unknown = path(unknown_ticket());
    let nowhere = [unknown, format!("{TICKETS}/1"), format!("{TICKETS}/zzzzzzzzzzzzzzzzzzzzzzzz")];
    for path in &nowhere {
        expect_session_first(&app, || app.service.put(path).json(&bad)).await;
        expect_session_first(&app, || app.service.put(path)).await;
        let put = |body| app.service.put(path).by(&other).json(body).send();
        app.service.put(path).by(&other).send().await.expect_error(415, "Expected application/json");
        put(&bad).await.expect(400);
        put(&good).await.expect_error(404, "Not Found");
    }
    let put = |user, body| app.service.put(&path(reserved)).by(user).json(body).send();
    expect_session_first(&app, || app.service.put(&path(reserved)).json(&good)).await;
    put(&other, &bad).await.expect(400);
    put(&other, &good).await.expect_error(401, "Not authorized");
    put(&app.seller, &good).await.expect_error(400, "Cannot edit a reserved ticket");
}

#[tokio::test]
async fn twenty_concurrent_edits_are_twenty_versions() {
    let app = TicketsApp::new();
    let id = app.new_ticket().await;
    let titles: Vec<String> = (0..20).map(|n| format!("Concert {n}")).collect();
    let replies = join_all(titles.iter().map(|title| app.edit(id, title))).await;
    let mut tickets: Vec<Value> = replies.into_iter().map(|reply| reply.expect(200)).collect();
    tickets.sort_by_key(|ticket| ticket["version"].as_u64());
    assert_eq!(app.service.published().await, tickets.iter().map(ticket_updated).collect::<Vec<_>>());
    assert!(tickets.iter().map(|ticket| ticket["version"].as_u64().unwrap()).eq(1..=20));
    assert_eq!(app.find_ticket(id).await, tickets[19]);
}

/// Both read the ticket before either writes, so the second write conflicts.
#[tokio::test]
async fn a_concurrent_edit_and_reservation_converge() {
    let app = TicketsApp::new();
    let states = async |id: TicketId| {
        let published = app.service.published().await;
        let state = |(_, ticket): &(_, Value)| {
            (ticket["version"].as_u64().unwrap(), ticket["title"] == "Other", !ticket["orderId"].is_null())
        };
        assert_eq!(published.last(), Some(&ticket_updated(&app.find_ticket(id).await)));
        published.iter().map(state).collect::<Vec<_>>()
    };

    let id = app.new_ticket().await;
    let order = app.order_created(id);
    let (edited, reserved) = tokio::join!(app.edit(id, "Other"), app.service.deliver_once(&order));
    edited.expect(200);
    reserved.unwrap();
    assert_eq!(states(id).await, [(1, true, false), (2, true, true)]);

    let id = app.new_ticket().await;
    let order = app.order_created(id);
    let (reserved, edited) = tokio::join!(app.service.deliver_once(&order), app.edit(id, "Other"));
    reserved.unwrap();
    edited.expect_error(400, "Cannot edit a reserved ticket");
    assert_eq!(states(id).await, [(1, false, true)]);
}
