//! The outbox inside the documents: how events are stored, read and cleared.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::events::{Message, UnknownSubject};
use common::store::{Schema, StoreError, Unpublished};
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
    /// Reads unpublished events of all collections, oldest first.
    ///
    /// An unreadable outbox is an error only if there is nothing else to return, so it does not hold up other events.
    pub(super) async fn read_outboxes(&self, limit: usize) -> Result<Vec<Unpublished>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let reads: Vec<_> =
            self.schemas.iter().map(|schema| read_collection(self.collection(schema), schema, limit)).collect();
        let read = with_timeout(self.timeout, try_join_all(reads)).await?;

        let (mut events, mut unreadable) = (Vec::new(), None);
        for (waiting, error) in read {
            events.extend(waiting);
            unreadable = unreadable.or(error);
        }
        match unreadable {
            Some(error) if events.is_empty() => return Err(error),
            _ => {}
        }
        // The sort is stable and ages do not decrease within a document, so its events stay in order.
        events.sort_by_key(|(age, _)| *age);
        events.truncate(limit);
        Ok(events.into_iter().map(|(_, event)| event).collect())
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

/// Events with the time to sort them by, and the error of the first unreadable outbox.
type OutboxRead = (Vec<(Timestamp, Unpublished)>, Option<StoreError>);

/// Reads the oldest unpublished events of a collection.
async fn read_collection(
    collection: Collection<Stored>,
    schema: &'static Schema,
    max: usize,
) -> Result<OutboxRead, CallError> {
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
    let (mut events, mut unreadable) = (Vec::new(), None);
    for stored in waiting {
        if let Err(error) = read_outbox(schema, &stored, &mut events) {
            unreadable.get_or_insert(error);
        }
    }
    Ok((events, unreadable))
}

/// Reads the events of a document up to the first invalid one, which later ones must not overtake.
fn read_outbox(
    schema: &'static Schema,
    stored: &Stored,
    events: &mut Vec<(Timestamp, Unpublished)>,
) -> Result<(), StoreError> {
    let id = stored_id(schema, stored)?.to_hex();
    let entries = stored.get_array(OUTBOX);
    let entries = entries.map_err(|_| StoreError::corrupt(schema, &id, "its outbox is not an array"))?;
    let mut age = Timestamp::from_millis(i64::MIN);
    for entry in entries {
        let (message, since) = from_entry(entry).map_err(|error| StoreError::corrupt(schema, &id, error))?;
        age = age.max(since);
        let token = format!("{}/{id}", schema.collection);
        events.push((age, Unpublished { token, message, since }));
    }
    Ok(())
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
enum InvalidEntry {
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

fn from_entry(entry: &Bson) -> Result<(Message, Timestamp), InvalidEntry> {
    let entry = entry.as_document().ok_or(InvalidEntry::NotAnObject)?;
    let text = |name| entry.get_str(name).map_err(|_| InvalidEntry::Missing(name));
    let id = text("id")?;
    if id.contains(char::is_control) {
        return Err(InvalidEntry::ControlCharacters);
    }
    let message = Message {
        id: id.to_owned(),
        subject: text("subject")?.parse()?,
        payload: text("payload")?.to_owned(),
        traceparent: entry.get_str("traceparent").ok().and_then(TraceParent::parse),
    };
    let at = entry.get_datetime("at").map_err(|_| InvalidEntry::Missing("time"))?;
    Ok((message, Timestamp::from_millis(at.timestamp_millis())))
}
