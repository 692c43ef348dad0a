use common::events::{Message, Subject, TicketUpdated};
use common::ids::OrderId;
use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::{Value, json};
use testing::{TestApp, message};

use crate::{OrdersApp, ticket_updated};

/// Each event carries the whole ticket, so versions between may be missing.
#[tokio::test]
async fn the_newest_version_wins_whatever_is_missing() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let [first, second, third] = [1, 2, 3].map(|version| ticket_updated(&created, version, "Opera", 1000 * version));
    app.service.deliver(&first).await;
    app.service.deliver(&third).await;
    // Late events change nothing.
    app.service.deliver(&created).await;
    app.service.deliver(&second).await;
    let order = app.order(&app.buyer, created.id).await.expect(201);
    let expected = json!({"id": created.id.to_string(), "title": "Opera", "price": 30, "version": 3});
    assert_eq!(order["ticket"], expected);
}

/// Live orders decide whether a ticket is reserved; the tickets service may lag behind.
#[tokio::test]
async fn a_stale_reservation_does_not_block_an_order() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    let order: OrderId = app.place_order_of(created.id).await;
    app.service.deliver(&TicketUpdated { order_id: Some(order), ..ticket_updated(&created, 1, "Concert", 1999) }).await;
    app.cancel(order).await.expect(204);
    app.order(&app.buyer, created.id).await.expect(201);
}

#[tokio::test]
async fn concurrent_deliveries_end_in_the_newest_version() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let mut messages = vec![message(&created)];
    for version in 1..=9 {
        messages.push(message(&ticket_updated(&created, version, &format!("Concert {version}"), 1999)));
    }
    join_all(messages.iter().chain(&messages).map(|message| deliver(&app.service, message))).await;
    let order = app.order(&app.buyer, created.id).await.expect(201);
    assert_eq!((&order["ticket"]["title"], &order["ticket"]["version"]), (&json!("Concert 9"), &json!(9)));
}

async fn deliver(service: &TestApp, message: &Message) {
    let delivered = service.deliver_payload(message.subject, &message.payload).await;
    delivered.unwrap_or_else(|error| panic!("{message:?} was not handled: {error}"));
}

/// Delivers events of a ticket in this order and returns the ticket as ordered then.
#[tokio::main(flavor = "current_thread")]
async fn copied_after(order: Vec<usize>) -> Value {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let mut messages = vec![message(&created)];
    messages
        .extend((1..5).map(|version| message(&ticket_updated(&created, version, &format!("Concert {version}"), 1))));
    for index in order {
        deliver(&app.service, &messages[index]).await;
    }
    app.order(&app.buyer, created.id).await.expect(201)["ticket"].take()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// One `ticket:created` and four `ticket:updated`, each delivered once or twice, in any order.
    #[test]
    fn every_ordering_ends_in_the_newest_version(
        order in prop::collection::vec(0..5_usize, 0..=5)
            .prop_map(|mut repeats| { repeats.sort_unstable(); repeats.dedup(); repeats.extend(0..5); repeats })
            .prop_shuffle()
    ) {
        let ticket = copied_after(order);
        prop_assert_eq!((&ticket["title"], &ticket["version"]), (&json!("Concert 4"), &json!(4)));
    }
}

#[tokio::test]
async fn malformed_events_are_rejected() {
    OrdersApp::new().expect_malformed_rejected(Subject::TicketUpdated).await;
}
