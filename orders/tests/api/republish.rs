//! Announcing orders again.

use std::time::Duration;

use common::clock::{Clock, Timestamp};
use common::events::Subject;
use serde_json::json;

use crate::OrdersApp;

const EPOCH: Timestamp = Timestamp::from_millis(0);

#[tokio::test]
async fn a_live_order_is_announced_as_new_and_then_in_its_state() {
    let app = OrdersApp::new();
    let cancelled = app.place_order().await;
    app.cancel(cancelled).await.expect(204);
    let complete = app.place_order().await;
    app.service.deliver(&app.payment_created(complete)).await;
    let awaiting = app.place_order_awaiting_payment().await;
    let created = app.place_order().await;
    app.service.published().await;

    let announced = app.service.republished(orders::RECORDS, EPOCH).await;
    let facts = announced.iter().map(|(subject, event)| (*subject, &event["id"], &event["version"], &event["status"]));
    let [cancelled, complete, awaiting, created] =
        [cancelled, complete, awaiting, created].map(|id| json!(id.to_string()));
    let expected = [
        (Subject::OrderCreated, &created, &json!(0), &json!("created")),
        (Subject::OrderCreated, &awaiting, &json!(0), &json!("created")),
        (Subject::OrderUpdated, &awaiting, &json!(1), &json!("awaiting:payment")),
        (Subject::OrderCreated, &complete, &json!(0), &json!("created")),
        (Subject::OrderCompleted, &complete, &json!(1), &json!("complete")),
        (Subject::OrderCancelled, &cancelled, &json!(1), &json!("cancelled")),
    ];
    assert_eq!(facts.collect::<Vec<_>>(), expected);
}

#[tokio::test]
async fn an_announcement_equals_the_first_one() {
    let app = OrdersApp::new();
    app.order(&app.buyer, app.new_ticket().await).await.expect(201);
    let first = app.service.published().await;
    assert_eq!(app.service.republished(orders::RECORDS, EPOCH).await, first);
    assert_eq!(app.service.published().await, [], "republishing stores nothing");
}

#[tokio::test]
async fn only_orders_written_since_then_are_announced() {
    let app = OrdersApp::new();
    let [first, _, third] = [app.place_order().await, app.place_order().await, app.place_order().await];
    app.env.clock.advance(Duration::from_secs(1));
    let since = app.env.clock.now();
    app.cancel(first).await.expect(204);
    let fourth = app.place_order().await;
    let announced = app.service.republished(orders::RECORDS, since).await;
    let ids: Vec<_> = announced.iter().map(|(_, event)| event["id"].as_str().unwrap_or_default()).collect();
    assert_eq!(ids, [fourth.to_string(), first.to_string()], "not {third}, which is older");
}
