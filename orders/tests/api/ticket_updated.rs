use std::collections::VecDeque;

use common::events::Message;
use common::events::{Subject, TicketUpdated};
use common::ids::OrderId;
use common::listener::ListenError;
use futures_util::future::join_all;
use proptest::prelude::*;
use serde_json::{Value, json};
use testing::TestApp;
use testing::message;

use crate::{OrdersApp, updated};

#[tokio::test]
async fn a_copy_follows_version_by_version() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let [first, second, third] = [1, 2, 3].map(|version| updated(&created, version, "Opera", 1000 * version));
    // Before the ticket itself.
    app.expect_retry(&first).await;
    app.service.deliver(&created).await;
    // With a gap.
    app.expect_retry(&second).await;
    app.expect_retry(&third).await;
    app.service.deliver(&first).await;
    app.expect_retry(&third).await;
    app.service.deliver(&second).await;
    app.service.deliver(&third).await;
    // Late repeats.
    app.service.deliver(&first).await;
    app.service.deliver(&second).await;
    let order = app.order(&app.buyer, created.id).await.expect(201);
    let expected = json!({"id": created.id.to_string(), "title": "Opera", "price": 30, "version": 3});
    assert_eq!(order["ticket"], expected);
}

/// Which orders are live is for the orders to say: a copy that says reserved may be late.
#[tokio::test]
async fn a_ticket_that_its_owner_still_calls_reserved_can_be_ordered() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    app.service.deliver(&created).await;
    let order: OrderId = app.placed_order_of(created.id).await;
    app.service.deliver(&TicketUpdated { order_id: Some(order), ..updated(&created, 1, "Concert", 1999) }).await;
    app.cancel(order).await.expect(204);
    app.order(&app.buyer, created.id).await.expect(201);
}

#[tokio::test]
async fn simultaneous_deliveries_apply_each_version_once() {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let mut messages = vec![message(&created)];
    for version in 1..=9 {
        messages.push(message(&updated(&created, version, &format!("Concert {version}"), 1999)));
    }
    join_all(messages.iter().chain(&messages).map(|message| deliver_all(&app.service, vec![message]))).await;
    let order = app.order(&app.buyer, created.id).await.expect(201);
    assert_eq!((&order["ticket"]["title"], &order["ticket"]["version"]), (&json!("Concert 9"), &json!(9)));
}

/// Delivers messages one after the other; what is put off comes again after the rest.
async fn deliver_all(service: &TestApp, messages: Vec<&Message>) {
    let mut queue: VecDeque<_> = messages.into_iter().map(|message| (message, 0)).collect();
    while let Some((message, attempts)) = queue.pop_front() {
        assert!(attempts < 10_000, "{message:?} is never accepted");
        match service.deliver_payload(message.subject, &message.payload).await {
            Ok(()) => {}
            Err(ListenError::Retry(_)) => {
                queue.push_back((message, attempts + 1));
                tokio::task::yield_now().await;
            }
            Err(ListenError::Reject(why)) => panic!("{why}"),
        }
    }
}

/// The ticket as ordered after its events were delivered in this order.
#[tokio::main(flavor = "current_thread")]
async fn copied_after(order: Vec<usize>) -> Value {
    let app = OrdersApp::new();
    let created = app.ticket_created();
    let mut messages = vec![message(&created)];
    messages.extend((1..5).map(|version| message(&updated(&created, version, &format!("Concert {version}"), 1))));
    deliver_all(&app.service, order.into_iter().map(|index| &messages[index]).collect()).await;
    app.order(&app.buyer, created.id).await.expect(201)["ticket"].take()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// `ticket:created` and four `ticket:updated`, each once or twice, in any order.
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
async fn what_does_not_parse_is_rejected() {
    OrdersApp::new().expect_events_only(Subject::TicketUpdated).await;
}
