//! The outbox inside the documents: how events are stored, read and cleared.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::events::{Message, UnknownSubject};
use common::store::{InvalidEntry, Outbox, Schema, StoreError, Unpublished};
use common::trace::TraceParent;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document as Stored, doc};
use mongodb::options::Hint;

use super::body::{OUTBOX, object_id, stored_id};
use super::call::{limit, with_timeout};
use super::database::MongoStore;
use super::error::CallError;

/// The index that finds unpublished events. It is sparse, so it contains only documents with such events.
pub(super) const OUTBOX_INDEX: &str = "outbox_by_age";
pub(super) const OUTBOX_AGE: &str = "outbox.at";

impl MongoStore {
    /// Reads the oldest entries of all collections.
    pub(super) async fn read_outboxes(&self, limit: usize) -> Result<Outbox, StoreError> {
        // MongoDB reads 0 as no limit.
        if limit == 0 {
            return Ok(Outbox::default());
        }
        let reads: Vec<_> =
            self.schemas.iter().map(|schema| read_collection(self.collection(schema), schema, limit)).collect();
        let read = with_timeout(self.timeout, try_join_all(reads)).await?;
        let mut entries: Vec<Entry> = read.into_iter().flatten().collect();
        // The sort is stable and ages do not decrease within a document, so its events stay in order.
        entries.sort_by_key(|(age, _)| *age);
        entries.truncate(limit);
        let mut outbox = Outbox::default();
        for (_, entry) in entries {
            match entry {
                Ok(event) => outbox.events.push(event),
                Err(invalid) => outbox.invalid.push(invalid),
            }
        }
        Ok(outbox)
    }

    /// Removes published events from the outboxes.
    pub(super) async fn clear_outboxes(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        let mut outboxes: BTreeMap<&str, (Vec<ObjectId>, Vec<String>)> = BTreeMap::new();
        for event in events {
            let Some((collection, id)) = event.token.split_once('/') else { continue };
            let Some(id) = object_id(id) else { continue };
            let (ids, entries) = outboxes.entry(collection).or_default();
            if ids.last() != Some(&id) {
                ids.push(id);
            }
            entries.push(event.message.id.clone());
        }
        let clearings: Vec<_> = outboxes
            .into_iter()
            .map(|(collection, (ids, entries))| clear(self.database.collection(collection), ids, entries))
            .collect();
        with_timeout(self.timeout, try_join_all(clearings)).await.map(|_| ())
    }
}

/// An entry of an outbox, with the time to sort it by.
type Entry = (Timestamp, Result<Unpublished, InvalidEntry>);

/// Reads the oldest entries of a collection.
async fn read_collection(
    collection: Collection<Stored>,
    schema: &'static Schema,
    max: usize,
) -> Result<Vec<Entry>, CallError> {
    let waiting: Vec<Stored> = collection
        .find(doc! { OUTBOX_AGE: { "$exists": true } })
        .projection(doc! { OUTBOX: 1 })
        .sort(doc! { OUTBOX_AGE: 1 })
        .hint(Hint::Name(OUTBOX_INDEX.to_owned()))
        .limit(limit(max))
        .batch_size(u32::try_from(max).unwrap_or(u32::MAX).min(1000))
        .await?
        .try_collect()
        .await?;
    Ok(waiting.iter().flat_map(|stored| read_outbox(schema, stored)).collect())
}

/// Reads the entries of a document.
fn read_outbox(schema: &'static Schema, stored: &Stored) -> Vec<Entry> {
    let mut age = Timestamp::from_millis(i64::MIN);
    let (id, entries) = match id_and_entries(schema, stored) {
        Ok(found) => found,
        Err(error) => {
            let token = format!("{}/{:?}", schema.collection, stored.get("_id"));
            return vec![(age, Err(InvalidEntry { token, reason: error.into() }))];
        }
    };
    let read = |(place, entry)| {
        let read = from_entry(entry).map(|(message, since)| {
            age = age.max(since);
            Unpublished { token: token(schema, &id), message, since }
        });
        let invalid = |error| InvalidEntry {
            token: format!("{}/{place}", token(schema, &id)),
            reason: StoreError::corrupt(schema, &id, error).into(),
        };
        (age, read.map_err(invalid))
    };
    entries.iter().enumerate().map(read).collect()
}

fn id_and_entries<'a>(schema: &'static Schema, stored: &'a Stored) -> Result<(String, &'a [Bson]), StoreError> {
    let id = stored_id(schema, stored)?.to_hex();
    let entries = stored.get_array(OUTBOX);
    let entries = entries.map_err(|_| StoreError::corrupt(schema, &id, "its outbox is not an array"))?;
    Ok((id, entries))
}

/// Identifies an event together with its message id.
pub(super) fn token(schema: &Schema, id: &str) -> String {
    format!("{}/{id}", schema.collection)
}

/// Removes entries from the outboxes of these documents.
async fn clear(collection: Collection<Stored>, ids: Vec<ObjectId>, entries: Vec<String>) -> Result<(), CallError> {
    let all = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    // An outbox that becomes empty is removed as a whole, so that the sparse index drops the document.
    let emptied = doc! { "_id": { "$in": &ids }, OUTBOX: { "$not": { "$elemMatch": { "id": { "$nin": &entries } } } } };
    let drop_outbox = doc! { "$unset": { OUTBOX: "" } };
    let emptied_now = collection.update_many(emptied.clone(), drop_outbox.clone()).await?;
    if i64::try_from(emptied_now.matched_count) == Ok(all) {
        return Ok(());
    }
    // Other documents have more events, or another replica is removing some of them. The last one to finish removes the
    // outbox.
    let others = doc! { "_id": { "$in": &ids }, "outbox.id": { "$in": &entries } };
    collection.update_many(others, doc! { "$pull": { OUTBOX: { "id": { "$in": &entries } } } }).await?;
    collection.update_many(emptied, drop_outbox).await?;
    Ok(())
}

pub(super) fn to_entry(event: &Message, at: Timestamp) -> Stored {
    let mut entry = doc! { "id": &event.id, "subject": event.subject.as_str(), "payload": &event.payload };
    if let Some(traceparent) = &event.traceparent {
        entry.insert("traceparent", traceparent.to_string());
    }
    entry.insert("at", DateTime::from_millis(at.as_millis()));
    entry
}

/// Why an entry of an outbox is not an event.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("an entry in its outbox is not an object")]
    NotAnObject,
    #[error("an entry in its outbox has no {0}")]
    Missing(&'static str),
    // A message id is sent as a header, which is a single line.
    #[error("an entry in its outbox has an id with control characters")]
    ControlCharacters,
    #[error("an entry in its outbox has an unknown subject")]
    Subject(#[from] UnknownSubject),
}

fn from_entry(entry: &Bson) -> Result<(Message, Timestamp), EntryError> {
    let entry = entry.as_document().ok_or(EntryError::NotAnObject)?;
    let text = |name| entry.get_str(name).map_err(|_| EntryError::Missing(name));
    let id = text("id")?;
    if id.contains(char::is_control) {
        return Err(EntryError::ControlCharacters);
    }
    let message = Message {
        id: id.to_owned(),
        subject: text("subject")?.parse()?,
        payload: text("payload")?.to_owned(),
        traceparent: entry.get_str("traceparent").ok().and_then(TraceParent::parse),
    };
    let at = entry.get_datetime("at").map_err(|_| EntryError::Missing("time"))?;
    Ok((message, Timestamp::from_millis(at.timestamp_millis())))
}
