use std::collections::VecDeque;

use common::events::{Message, Subject, TicketUpdated};
use common::ids::OrderId;
use common::listener::ListenError;
use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::{Value, json};
use testing::{TestApp, message};

use crate::{OrdersApp, ticket_updated};

#[tokio::test]
async fn a_copy_follows_version_by_version() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let [first, second, third] = [1, 2, 3].map(|version| ticket_updated(&created, version, "Opera", 1000 * version));
    // The ticket itself has not arrived.
    app.expect_retry(&first).await;
    app.service.deliver(&created).await;
    // Version 1 is missing.
    app.expect_retry(&second).await;
    app.expect_retry(&third).await;
    app.service.deliver(&first).await;
    app.expect_retry(&third).await;
    app.service.deliver(&second).await;
    app.service.deliver(&third).await;
    // Repeats of older versions change nothing.
    app.service.deliver(&first).await;
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
async fn concurrent_deliveries_apply_each_version_once() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let mut messages = vec![message(&created)];
    for version in 1..=9 {
        messages.push(message(&ticket_updated(&created, version, &format!("Concert {version}"), 1999)));
    }
    join_all(messages.iter().chain(&messages).map(|message| deliver_all(&app.service, vec![message]))).await;
    let order = app.order(&app.buyer, created.id).await.expect(201);
    assert_eq!((&order["ticket"]["title"], &order["ticket"]["version"]), (&json!("Concert 9"), &json!(9)));
}

/// Events of one ticket often arrive together. If each were retried until the one before it is stored, every round of
/// redelivery would apply only one of them.
///
/// A busy machine may need longer for a write than a listener waits, hence several attempts.
#[tokio::test]
async fn concurrent_versions_apply_without_redelivery() {
    let app = OrdersApp::new();
    for _ in 0..50 {
        let created = app.ticket_created();
        let [first, second, third] = [1, 2, 3].map(|version| ticket_updated(&created, version, "Opera", 2500));
        let delivered = tokio::join!(
            app.service.deliver_once(&third),
            app.service.deliver_once(&second),
            app.service.deliver_once(&first),
            app.service.deliver_once(&created),
        );
        if matches!(delivered, (Ok(()), Ok(()), Ok(()), Ok(()))) {
            let order = app.order(&app.buyer, created.id).await.expect(201);
            assert_eq!(order["ticket"]["version"], 3);
            return;
        }
    }
    panic!("some version was always retried");
}

/// Delivers messages one after the other. A message to retry is delivered again after the rest.
async fn deliver_all(service: &TestApp, messages: Vec<&Message>) {
    let mut queue: VecDeque<_> = messages.into_iter().map(|message| (message, 0)).collect();
    while let Some((message, attempts)) = queue.pop_front() {
        assert!(attempts < 10_000, "{message:?} was never handled");
        match service.deliver_payload(message.subject, &message.payload).await {
            Ok(()) => {}
            Err(ListenError::Retry(_)) => {
                queue.push_back((message, attempts + 1));
                tokio::task::yield_now().await;
            }
            Err(ListenError::Reject(reason)) => panic!("{message:?} was rejected: {reason}"),
        }
    }
}

/// Delivers events of a ticket in this order and returns the ticket as ordered then.
#[tokio::main(flavor = "current_thread")]
async fn copied_after(order: Vec<usize>) -> Value {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let mut messages = vec![message(&created)];
    messages
        .extend((1..5).map(|version| message(&ticket_updated(&created, version, &format!("Concert {version}"), 1))));
    deliver_all(&app.service, order.into_iter().map(|index| &messages[index]).collect()).await;
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
