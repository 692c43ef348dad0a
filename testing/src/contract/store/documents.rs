//! Reading and writing documents.

use common::clock::Timestamp;
use common::events::Message;
use common::store::{Put, Store};
use serde_json::json;

use super::fixture::{
    HALLS, NOW, announced, equal, event, expect_conflict, expect_duplicate, found, insert, new_id, replace, stored,
    waiting, with_key,
};
use crate::contract::harness::Data;

/// A document comes back as it was put.
pub async fn a_put_document_round_trips(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    let fields = json!({"title": "Macbeth", "price": 1999, "seats": [1, 2], "on": true, "hall": null});
    store.put(insert(&id, fields.clone())).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, fields))));
    store.put(replace(&id, 1, json!({"title": "Hamlet"}))).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((1, with_key(&id, 1, json!({"title": "Hamlet"})))));
}

/// Ids and times come back as the same text, and queries by them match, whatever type the engine stores them as.
pub async fn ids_and_times_round_trip(data: &dyn Data<dyn Store>) {
    let (store, id, owner) = (data.open().await, new_id(), new_id());
    let (early, late) =
        (Timestamp::from_millis(0).to_string(), Timestamp::from_millis(NOW.as_millis() + 7).to_string());
    let fields = json!({
        "ownerId": owner,
        "opensAt": late,
        "seats": [{"userId": new_id(), "soldAt": early}, {"userId": null}, {}],
        "title": owner,
        "hall": late,
    });
    store.put(insert(&id, fields.clone())).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, fields))));
    assert_eq!(found(&*store, equal("ownerId", &owner)).await, [&*id]);
    assert_eq!(found(&*store, equal("opensAt", &late)).await, [&*id]);
    assert_eq!(found(&*store, equal("hall", &late)).await, [&*id]);
    assert_eq!(found(&*store, equal("ownerId", &new_id())).await, [""; 0]);
    assert_eq!(found(&*store, equal("ownerId", "nobody")).await, [""; 0]);
}

/// Long texts, non-ASCII characters and text that looks like a query come back unchanged.
pub async fn large_and_unicode_bodies_round_trip(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    let fields = json!({
        "hall": "Zürich 🎭 \u{0} \"'\\ $ne {\"$gt\": 1}; DROP TABLE shows --",
        "title": "é".repeat(45_000),
    });
    let put =
        Put { events: vec![Message { payload: fields.to_string(), ..event(&id, 0) }], ..insert(&id, fields.clone()) };
    store.put(put).await.expect("put");
    assert_eq!(stored(&*store, &id).await, Some((0, with_key(&id, 0, fields.clone()))));
    assert_eq!(store.unpublished(1).await.expect("events").events[0].message.payload, fields.to_string());
    let hall = fields["hall"].as_str().expect("a hall");
    assert_eq!(found(&*store, equal("hall", hall)).await, [&*id]);
}

/// An absent document is `None`, even if another collection has one with its id.
pub async fn an_absent_document_is_none(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    assert_eq!(stored(&*store, &id).await, None);
    store.put(Put { schema: HALLS, ..insert(&id, json!({})) }).await.expect("put");
    assert_eq!(stored(&*store, &id).await, None);
    store.put(insert(&id, json!({}))).await.expect("the collections have separate ids");
}

/// Documents, indexes and events survive a restart of the engine.
pub async fn documents_and_events_survive_reopening(data: &dyn Data<dyn Store>) {
    let (store, id) = (data.open().await, new_id());
    store.put(announced(insert(&id, json!({"slot": "monday", "hall": "small"})))).await.expect("put");
    store.published(&store.unpublished(1).await.expect("events").events).await.expect("published");
    let fields = json!({"slot": "tuesday", "hall": "small"});
    store.put(announced(replace(&id, 1, fields.clone()))).await.expect("put");
    drop(store);

    let store = data.open().await;
    assert_eq!(stored(&*store, &id).await, Some((1, with_key(&id, 1, fields))));
    assert_eq!(found(&*store, equal("hall", "small")).await, [&*id]);
    assert_eq!(waiting(&*store).await, [event(&id, 1).id]);
    expect_duplicate(store.put(insert(&new_id(), json!({"slot": "tuesday"}))).await);
    expect_conflict(store.put(replace(&id, 1, json!({}))).await);
    store.ping().await.expect("ping");
}
