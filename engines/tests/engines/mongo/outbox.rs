//! The outbox in each document.

use std::sync::Arc;

use common::clock::Timestamp;
use common::store::{Put, Store};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, doc};
use serde_json::json;

use super::fixture::{Case, TICKETS, corruption, new_id, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_event_is_reported_after_the_others_are_published() {
    let Some(case) = Case::new().await else { return };
    let (store, id) = (case.open(&[TICKETS]).await, ObjectId::new());
    let entry = doc! { "subject": "ticket:created", "payload": "{}", "at": DateTime::from_millis(0) };
    case.tickets().await.insert_one(doc! { "_id": id, "version": 0, "outbox": [entry] }).await.expect("insert");
    store.put(ticket(&new_id(), 0, &json!({}))).await.expect("put");

    let events = store.unpublished(10).await.expect("the readable event");
    assert_eq!(events.len(), 1);
    store.published(&events).await.expect("published");
    let cause = "an entry in its outbox has no id";
    assert_eq!(corruption(store.unpublished(10).await), (id.to_hex(), cause.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_document_stay_in_order_despite_clock_skew() {
    let Some(case) = Case::new().await else { return };
    let (store, id) = (case.open(&[TICKETS]).await, new_id());
    let at = |millis, put| Put { at: Timestamp::from_millis(millis), ..put };
    store.put(at(5000, ticket(&id, 0, &json!({})))).await.expect("put");
    store.put(at(4000, ticket(&new_id(), 0, &json!({})))).await.expect("put");
    store.put(at(3000, ticket(&id, 1, &json!({})))).await.expect("put");
    let events = store.unpublished(10).await.expect("events");
    let of_one: Vec<&str> = events.iter().map(|event| &*event.message.id).filter(|event| event.contains(&id)).collect();
    assert_eq!(of_one, [format!("ticket:updated/{id}/0"), format!("ticket:updated/{id}/1")]);
    assert_eq!(events.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_clearing_one_outbox_concurrently_leave_it_empty() {
    let Some(case) = Case::new().await else { return };
    let (store, id) = (Arc::new(case.open(&[TICKETS]).await), new_id());
    for round in 0..10 {
        store.put(ticket(&id, 2 * round, &json!({}))).await.expect("put");
        store.put(ticket(&id, 2 * round + 1, &json!({}))).await.expect("put");
        let events = store.unpublished(10).await.expect("events");
        let (one, other) = events.split_at(1);
        let (first, second) = tokio::join!(store.published(one), store.published(other));
        first.and(second).expect("published");
        let stored = case.tickets().await.find_one(doc! {}).await.expect("an answer").expect("a document");
        assert!(!stored.contains_key("outbox"), "{stored}");
    }
}
