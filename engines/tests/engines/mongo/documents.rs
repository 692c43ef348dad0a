//! How documents are stored.

use common::store::{Find, Store};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, doc};
use serde_json::json;

use super::fixture::{Case, TICKETS, body, corruption, ticket};

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_stored_with_native_types() {
    let Some(case) = Case::new().await else { return };
    let (store, id, order) = (case.open(&[TICKETS]).await, ObjectId::new(), ObjectId::new());
    let fields =
        json!({"title": "Concert", "price": 1999, "orderId": order.to_hex(), "soldAt": "2026-01-31T12:00:00.007Z"});
    store.put(ticket(&id.to_hex(), 0, &fields)).await.expect("put");
    store.put(ticket(&id.to_hex(), 1, &json!({"title": "Play", "price": 1999}))).await.expect("put");
    store.put(ticket(&id.to_hex(), 2, &fields)).await.expect("put");

    let stored = case.tickets().await.find_one(doc! {}).await.expect("an answer").expect("a document");
    assert_eq!(stored.get("_id"), Some(&Bson::ObjectId(id)));
    assert_eq!(stored.get("version"), Some(&Bson::Int64(2)));
    assert_eq!(stored.get("price"), Some(&Bson::Int64(1999)));
    assert_eq!(stored.get("orderId"), Some(&Bson::ObjectId(order)));
    assert_eq!(stored.get("soldAt"), Some(&Bson::DateTime(DateTime::from_millis(1_769_860_800_007))));
    let outbox = stored.get_array("outbox").expect("an outbox");
    let entry = outbox[2].as_document().expect("an entry");
    assert_eq!(entry.get_str("id").ok(), Some(&*format!("ticket:updated/{id}/2")));
    assert_eq!(entry.get_datetime("at").ok(), Some(&DateTime::from_millis(1_769_860_800_000)));

    store.published(&store.unpublished(3).await.expect("events").events).await.expect("published");
    let stored = case.tickets().await.find_one(doc! {}).await.expect("an answer").expect("a document");
    assert!(!stored.contains_key("outbox"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn corrupt_documents_are_reported_by_id() {
    let Some(case) = Case::new().await else { return };
    let (store, tickets, id) = (case.open(&[TICKETS]).await, case.tickets().await, ObjectId::new());
    let all = Find { equal: Vec::new(), after: None, limit: 10 };
    let read = async || {
        let one = corruption(store.get(TICKETS, &id.to_hex()).await);
        assert_eq!(corruption(store.find(TICKETS, all.clone()).await), one);
        one
    };
    tickets.insert_one(doc! { "_id": id, "title": "Concert" }).await.expect("insert");
    assert_eq!(read().await, (id.to_hex(), "it has no version".into()));
    assert_eq!(corruption(store.put(ticket(&id.to_hex(), 1, &json!({}))).await).1, "it has no version");
    tickets.update_one(doc! {}, doc! { "$set": { "version": 0, "orderId": id.to_hex() } }).await.expect("update");
    assert_eq!(read().await, (id.to_hex(), "orderId is of the wrong type: String".into()));

    // Clients such as mongosh write small numbers as 32-bit integers.
    tickets.update_one(doc! {}, doc! { "$set": { "price": 5 }, "$unset": { "orderId": "" } }).await.expect("update");
    assert_eq!(
        body(&store, &id.to_hex()).await,
        json!({"id": id.to_hex(), "version": 0, "title": "Concert", "price": 5})
    );
    store.put(ticket(&id.to_hex(), 1, &json!({"price": 6}))).await.expect("put");
    assert_eq!(body(&store, &id.to_hex()).await, json!({"id": id.to_hex(), "version": 1, "price": 6}));

    tickets.insert_one(doc! { "_id": "mine", "version": 0 }).await.expect("insert");
    assert_eq!(corruption(store.find(TICKETS, all).await), ("\"mine\"".into(), "its _id is not an ObjectId".into()));
}
