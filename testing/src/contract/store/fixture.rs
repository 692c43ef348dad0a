//! Shows and halls, the documents of the cases.

use std::fmt::Debug;
use std::sync::Arc;

use common::clock::Timestamp;
use common::events::{Message, Subject};
use common::ids::TicketId;
use common::store::{Document, Expect, Find, Index, IndexKind, Put, Schema, Store, StoreError};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// The schemas to open an engine with.
pub const SCHEMAS: &[&Schema] = &[SHOWS, HALLS];

pub(super) const SHOWS: &Schema = &Schema {
    collection: "shows",
    indexes: &[
        Index { name: "shows_by_hall", fields: &["hall"], kind: IndexKind::Plain },
        Index { name: "one_show_a_slot", fields: &["slot"], kind: IndexKind::Unique },
    ],
    ids: &["ownerId", "seats.userId"],
    times: &["opensAt", "seats.soldAt"],
};

pub(super) const HALLS: &Schema = &Schema { collection: "halls", indexes: &[], ids: &[], times: &[] };

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_769_860_800_000);

pub(super) fn new_id() -> String {
    TicketId::generate(NOW).to_string()
}

/// Adds the id and version, which entities have in their body.
pub(super) fn with_key(id: &str, version: u64, mut fields: Value) -> Value {
    fields["id"] = id.into();
    fields["version"] = version.into();
    fields
}

pub(super) fn insert(id: &str, fields: Value) -> Put {
    let document = Document { id: id.to_owned(), version: 0, body: with_key(id, 0, fields).to_string() };
    Put { schema: SHOWS, document, expect: Expect::Absent, events: Vec::new(), at: NOW }
}

pub(super) fn replace(id: &str, version: u64, fields: Value) -> Put {
    let document = Document { id: id.to_owned(), version, body: with_key(id, version, fields).to_string() };
    Put { schema: SHOWS, document, expect: Expect::Version(version - 1), events: Vec::new(), at: NOW }
}

/// Adds the event that announces the write.
pub(super) fn announced(put: Put) -> Put {
    Put { events: vec![event(&put.document.id, put.document.version)], ..put }
}

/// Moves the write to some milliseconds after [`NOW`].
pub(super) fn at(millis: i64, put: Put) -> Put {
    Put { at: Timestamp::from_millis(NOW.as_millis() + millis), ..put }
}

pub(super) fn event(id: &str, version: u64) -> Message {
    let payload = json!({"id": id, "version": version}).to_string();
    let subject = Subject::TicketUpdated;
    Message { id: format!("{subject}/{id}/{version}"), subject, payload, traceparent: None }
}

pub(super) fn equal(field: &'static str, value: &str) -> Find {
    Find { equal: vec![(field, value.into())], after: None, limit: 100 }
}

/// The stored version and body. The body is parsed because engines may format it differently.
pub(super) async fn stored(store: &dyn Store, id: &str) -> Option<(u64, Value)> {
    let document = store.get(SHOWS, id).await.expect("get")?;
    assert_eq!(document.id, id);
    Some((document.version, serde_json::from_str(&document.body).expect("JSON")))
}

pub(super) async fn found(store: &dyn Store, query: Find) -> Vec<String> {
    store.find(SHOWS, query).await.expect("find").into_iter().map(|document| document.id).collect()
}

/// The ids of the messages in the outbox.
pub(super) async fn waiting(store: &dyn Store) -> Vec<String> {
    store.unpublished(1000).await.expect("events").events.into_iter().map(|event| event.message.id).collect()
}

/// Runs all writes concurrently and returns their outcomes in the same order.
pub(super) async fn all_at_once(
    store: &Arc<dyn Store>,
    writes: impl Iterator<Item = Put>,
) -> Vec<Result<(), StoreError>> {
    let tasks = writes.map(|write| {
        let store = store.clone();
        tokio::spawn(async move { store.put(write).await.map(drop) })
    });
    join_all(tasks).await.into_iter().map(|outcome| outcome.expect("no panic")).collect()
}

#[track_caller]
pub(super) fn expect_conflict<T: Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(outcome, Err(StoreError::Conflict)), "{outcome:?}");
}

#[track_caller]
pub(super) fn expect_duplicate<T: Debug>(outcome: Result<T, StoreError>) {
    assert!(matches!(&outcome, Err(StoreError::Duplicate(index)) if index == "one_show_a_slot"), "{outcome:?}");
}
