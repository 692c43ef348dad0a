use std::fmt::Display;

use common::events::Subject;
use common::listener::ListenError;
use insta::assert_json_snapshot;
use serde_json::Value;
use testing::builders::order_cancelled;
use testing::message;
use testing::snapshots::with_named_ids;

use crate::{TicketsApp, ticket_updated, unknown_ticket};

#[tokio::test]
async fn a_new_order_reserves_its_ticket_once() {
    let app = TicketsApp::new();
    let id = app.new_ticket().await;
    let order = app.order_created(id);
    app.service.deliver(&order).await;
    let ticket = app.find_ticket(id).await;
    let ids: [(&str, &dyn Display); 3] = [("TICKET", &id), ("SELLER", &app.seller.id), ("ORDER", &order.id)];
    assert_json_snapshot!(with_named_ids(&ticket, &ids), @r#"
    {
      "id": "TICKET",
      "orderId": "ORDER",
      "price": 20,
      "title": "Concert",
      "userId": "SELLER",
      "version": 1
    }
    "#);
    assert_eq!(app.service.published().await, [ticket_updated(&ticket)]);
}

#[tokio::test]
async fn an_order_cancelled_first_reserves_nothing() {
    let app = TicketsApp::new();
    let id = app.new_ticket().await;
    let order = app.order_created(id);
    app.service.deliver(&order_cancelled(&order)).await;
    app.service.deliver(&order).await;
    assert_eq!(app.find_ticket(id).await["orderId"], Value::Null);
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn a_repeated_event_does_not_reserve_a_released_ticket() {
    let app = TicketsApp::new();
    let (id, order) = app.new_reserved_ticket().await;
    app.service.deliver(&order_cancelled(&order)).await;
    app.service.published().await;
    app.service.deliver(&order).await;
    assert_eq!(app.find_ticket(id).await["orderId"], Value::Null);
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn an_order_is_retried_until_the_previous_one_is_cancelled() {
    let app = TicketsApp::new();
    let (id, order) = app.new_reserved_ticket().await;
    let next = app.order_created(id);
    for _ in 0..2 {
        let delivered = app.service.deliver_once(&next).await;
        assert!(matches!(delivered, Err(ListenError::Retry(_))), "{delivered:?}");
    }
    assert_eq!(app.find_ticket(id).await["orderId"], order.id.to_string());
    assert_eq!(app.service.published().await, []);

    app.service.deliver(&order_cancelled(&order)).await;
    app.service.deliver(&next).await;
    assert_eq!(app.find_ticket(id).await["orderId"], next.id.to_string());
    // Late events of the first order change nothing.
    app.service.deliver(&order_cancelled(&order)).await;
    app.service.deliver(&order).await;
    assert_eq!(app.find_ticket(id).await["orderId"], next.id.to_string());
    let versions: Vec<Value> =
        app.service.published().await.iter().map(|(_, event)| event["version"].clone()).collect();
    assert_eq!(versions, [2, 3]);
}

#[tokio::test]
async fn a_concurrent_cancellation_leaves_the_ticket_free() {
    let app = TicketsApp::new();
    for swapped in [false, true] {
        let id = app.new_ticket().await;
        let order = app.order_created(id);
        let cancelled = order_cancelled(&order);
        let (created, cancelled) = (message(&order), message(&cancelled));
        let (first, second) = if swapped { (cancelled, created) } else { (created, cancelled) };
        tokio::join!(app.deliver_until_accepted(&first), app.deliver_until_accepted(&second));
        assert_eq!(app.find_ticket(id).await["orderId"], Value::Null);
    }
}

#[tokio::test]
async fn malformed_events_and_unknown_records_are_rejected() {
    let app = TicketsApp::new();
    let delivered = app.service.deliver_once(&app.order_created(unknown_ticket())).await;
    assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    for payload in ["", "{", "{}", "[]", "null", r#"{"id": "1"}"#] {
        let delivered = app.service.deliver_payload(Subject::OrderCreated, payload).await;
        assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    }
}
