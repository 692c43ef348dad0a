//! The outbox in each document.

use std::collections::HashSet;
use std::sync::Arc;

use common::clock::Timestamp;
use common::store::{Outbox, Put, Store};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document as Stored, doc};
use serde_json::json;

use super::fixture::{Case, TICKETS, new_id, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn invalid_entries_are_returned_beside_the_events() {
    let Some(case) = Case::new().await else { return };
    let (store, id, tickets) = (case.open(&[TICKETS]).await, new_id(), case.tickets().await);
    let entry = |fields: Stored| {
        let mut entry = doc! { "payload": "{}", "at": DateTime::from_millis(0) };
        entry.extend(fields);
        entry
    };
    let invalid = [
        (doc! { "subject": "ticket:created" }, "an entry in its outbox has no id"),
        (doc! { "id": "a", "subject": "ticket:archived" }, "an entry in its outbox has an unknown subject"),
        (
            doc! { "id": "a\r\nb", "subject": "ticket:created" },
            "an entry in its outbox has an id with control characters",
        ),
        (doc! { "id": "a", "subject": "ticket:created", "at": 5 }, "an entry in its outbox has no time"),
    ];
    store.put(ticket(&id, 0, &json!({}))).await.expect("put");
    let entries: Vec<Stored> = invalid.iter().map(|(fields, _)| entry(fields.clone())).collect();
    tickets
        .update_one(doc! {}, doc! { "$push": { "outbox": { "$each": entries, "$position": 0 } } })
        .await
        .expect("update");
    tickets.insert_one(doc! { "_id": "mine", "outbox": [entry(doc! {})] }).await.expect("insert");
    tickets.insert_one(doc! { "_id": ObjectId::new(), "outbox": entry(doc! {}) }).await.expect("insert");

    let Outbox { events, invalid: found } = store.unpublished(10).await.expect("the outbox");
    assert_eq!(events.iter().map(|event| &*event.message.id).collect::<Vec<_>>(), [format!("ticket:updated/{id}/0")]);
    assert_eq!(found.iter().map(|entry| &entry.token).collect::<HashSet<_>>().len(), 6, "{found:?}");
    let of_the_ticket = found.iter().filter(|entry| entry.token.contains(&id));
    let reasons = of_the_ticket.map(|entry| entry.reason.source().expect("a cause").to_string());
    assert!(reasons.eq(invalid.map(|(_, reason)| reason.to_owned())), "{found:?}");

    store.published(&events).await.expect("published");
    let left = store.unpublished(10).await.expect("the outbox");
    assert_eq!((left.events.len(), left.invalid.len()), (0, 6));
    assert_eq!(store.unpublished(4).await.expect("the outbox").invalid.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_document_stay_in_order_despite_clock_skew() {
    let Some(case) = Case::new().await else { return };
    let (store, id) = (case.open(&[TICKETS]).await, new_id());
    let at = |millis, put| Put { at: Timestamp::from_millis(millis), ..put };
    store.put(at(5000, ticket(&id, 0, &json!({})))).await.expect("put");
    store.put(at(4000, ticket(&new_id(), 0, &json!({})))).await.expect("put");
    store.put(at(3000, ticket(&id, 1, &json!({})))).await.expect("put");
    let events = store.unpublished(10).await.expect("events").events;
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
        let events = store.unpublished(10).await.expect("events").events;
        let (one, other) = events.split_at(1);
        let (first, second) = tokio::join!(store.published(one), store.published(other));
        first.and(second).expect("published");
        let stored = case.tickets().await.find_one(doc! {}).await.expect("an answer").expect("a document");
        assert!(!stored.contains_key("outbox"), "{stored}");
    }
}
