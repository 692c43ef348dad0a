use common::events::Subject;
use common::listener::ListenError;
use serde_json::{Value, json};
use testing::message;

use crate::{TicketsApp, cancelled, unknown_ticket, updated};

#[tokio::test]
async fn a_new_order_reserves_its_ticket_once() {
    let app = TicketsApp::new();
    let id = app.listed_ticket().await;
    let order = app.order(id);
    app.service.deliver(&order).await;
    let expected = json!({
        "id": id.to_string(), "title": "Concert", "price": 20, "userId": app.seller.id.to_string(), "version": 1,
        "orderId": order.id.to_string(),
    });
    assert_eq!(app.ticket(id).await, expected);
    assert_eq!(app.service.published().await, [updated(&expected)]);
}

#[tokio::test]
async fn an_order_that_was_cancelled_first_reserves_nothing() {
    let app = TicketsApp::new();
    let id = app.listed_ticket().await;
    let order = app.order(id);
    app.service.deliver(&cancelled(&order)).await;
    app.service.deliver(&order).await;
    assert_eq!(app.ticket(id).await["orderId"], Value::Null);
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn a_late_repeat_does_not_reserve_again_what_was_released() {
    let app = TicketsApp::new();
    let (id, order) = app.reserved_ticket().await;
    app.service.deliver(&cancelled(&order)).await;
    app.service.published().await;
    app.service.deliver(&order).await;
    assert_eq!(app.ticket(id).await["orderId"], Value::Null);
    assert_eq!(app.service.published().await, []);
}

#[tokio::test]
async fn the_next_order_waits_for_the_cancellation_of_the_one_before() {
    let app = TicketsApp::new();
    let (id, order) = app.reserved_ticket().await;
    let next = app.order(id);
    for _ in 0..2 {
        let delivered = app.service.deliver_once(&next).await;
        assert!(matches!(delivered, Err(ListenError::Retry(_))), "{delivered:?}");
    }
    assert_eq!(app.ticket(id).await["orderId"], order.id.to_string());
    assert_eq!(app.service.published().await, []);

    app.service.deliver(&cancelled(&order)).await;
    app.service.deliver(&next).await;
    assert_eq!(app.ticket(id).await["orderId"], next.id.to_string());
    // Nor does anything of the first order disturb it now.
    app.service.deliver(&cancelled(&order)).await;
    app.service.deliver(&order).await;
    assert_eq!(app.ticket(id).await["orderId"], next.id.to_string());
    let versions: Vec<Value> =
        app.service.published().await.iter().map(|(_, event)| event["version"].clone()).collect();
    assert_eq!(versions, [2, 3]);
}

#[tokio::test]
async fn an_order_is_cancelled_while_its_reservation_is_being_written() {
    let app = TicketsApp::new();
    for swapped in [false, true] {
        let id = app.listed_ticket().await;
        let order = app.order(id);
        let cancelled = cancelled(&order);
        let (created, cancelled) = (message(&order), message(&cancelled));
        let (first, second) = if swapped { (cancelled, created) } else { (created, cancelled) };
        tokio::join!(app.deliver_until_accepted(&first), app.deliver_until_accepted(&second));
        assert_eq!(app.ticket(id).await["orderId"], Value::Null);
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_rejected() {
    let app = TicketsApp::new();
    let delivered = app.service.deliver_once(&app.order(unknown_ticket())).await;
    assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    for payload in ["", "{", "{}", "[]", "null", r#"{"id": "1"}"#] {
        let delivered = app.service.deliver_payload(Subject::OrderCreated, payload).await;
        assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    }
}
