//! The outbox inside the documents: how events are stored, swept and cleared.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::events::Message;
use common::store::{Schema, StoreError, Unpublished};
use common::trace::TraceParent;
use futures_util::TryStreamExt;
use futures_util::future::try_join_all;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document as Stored, doc};
use mongodb::options::Hint;

use super::body::{OUTBOX, object_id, stored_id};
use super::error::Failure;
use super::{MongoStore, limit, within};

/// The index that the outbox is swept by: sparse, so it holds only documents with events that wait.
pub(super) const OUTBOX_INDEX: &str = "outbox_by_age";
pub(super) const OUTBOX_AGE: &str = "outbox.at";

impl MongoStore {
    pub(super) async fn read_outboxes(&self, limit: usize) -> Result<Vec<Unpublished>, StoreError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let sweeps: Vec<_> = self.schemas.iter().map(|schema| sweep(self.collection(schema), schema, limit)).collect();
        let swept = within(self.limit, try_join_all(sweeps)).await?;

        let (mut events, mut unreadable) = (Vec::new(), None);
        for (waiting, error) in swept {
            events.extend(waiting);
            unreadable = unreadable.or(error);
        }
        match unreadable {
            // What can not be read is named, but not before what can is out of its way.
            Some(error) if events.is_empty() => return Err(error),
            _ => {}
        }
        // A stable sort, by ages that do not fall within a document: its events stay in their order.
        events.sort_by_key(|(age, _)| *age);
        events.truncate(limit);
        Ok(events.into_iter().map(|(_, event)| event).collect())
    }

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
        within(self.limit, try_join_all(clearings)).await.map(|_| ())
    }
}

type Swept = (Vec<(Timestamp, Unpublished)>, Option<StoreError>);

/// The events of a collection that have waited longest, each with the age it counts as; and what can not be read.
async fn sweep(collection: Collection<Stored>, schema: &'static Schema, most: usize) -> Result<Swept, Failure> {
    let waiting: Vec<Stored> = collection
        .find(doc! { OUTBOX_AGE: { "$exists": true } })
        .projection(doc! { OUTBOX: 1 })
        .sort(doc! { OUTBOX_AGE: 1 })
        .hint(Hint::Name(OUTBOX_INDEX.to_owned()))
        .limit(limit(most))
        .batch_size(u32::try_from(most).unwrap_or(u32::MAX).min(1000))
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

/// Reads a document's events up to the first that is not of ours: later ones may not overtake it.
fn read_outbox(
    schema: &'static Schema,
    stored: &Stored,
    events: &mut Vec<(Timestamp, Unpublished)>,
) -> Result<(), StoreError> {
    let id = stored_id(schema, stored)?.to_hex();
    let corrupt = |why: String| StoreError::corrupt(schema, &id, why);
    let entries = stored.get_array(OUTBOX).map_err(|_| corrupt("its outbox is not an array".into()))?;
    let mut age = Timestamp::from_millis(i64::MIN);
    for entry in entries {
        let (message, since) = from_entry(entry).map_err(|why| corrupt(format!("in its outbox {why}")))?;
        age = age.max(since);
        let token = format!("{}/{id}", schema.collection);
        events.push((age, Unpublished { token, message, since }));
    }
    Ok(())
}

/// Takes entries out of the outboxes of these documents.
async fn clear(collection: Collection<Stored>, ids: Vec<ObjectId>, entries: Vec<String>) -> Result<(), Failure> {
    let all = i64::try_from(ids.len()).unwrap_or(i64::MAX);
    // An empty outbox goes, array and all, so that the sparse index forgets the document.
    let emptied = doc! { "_id": { "$in": &ids }, OUTBOX: { "$not": { "$elemMatch": { "id": { "$nin": &entries } } } } };
    let drop_outbox = doc! { "$unset": { OUTBOX: "" } };
    let emptied_now = collection.update_many(emptied.clone(), drop_outbox.clone()).await?;
    if i64::try_from(emptied_now.matched_count) == Ok(all) {
        return Ok(());
    }
    // Some wait with further events, or with those that another replica is taking out just now: whoever is last empties.
    let others = doc! { "_id": { "$in": &ids }, "outbox.id": { "$in": &entries } };
    collection.update_many(others, doc! { "$pull": { OUTBOX: { "id": { "$in": &entries } } } }).await?;
    collection.update_many(emptied, drop_outbox).await?;
    Ok(())
}

pub(super) fn to_entry(event: &Message, at: Timestamp) -> Stored {
    let mut entry = doc! { "id": &event.id, "subject": event.subject.as_str(), "payload": &event.payload };
    if let Some(traceparent) = &event.traceparent {
        entry.insert("traceparent", traceparent.as_str());
    }
    entry.insert("at", DateTime::from_millis(at.as_millis()));
    entry
}

/// A message id travels in a header.
fn one_line(id: &str) -> Result<&str, String> {
    if id.contains(char::is_control) { Err("an entry has an id of several lines".into()) } else { Ok(id) }
}

fn from_entry(entry: &Bson) -> Result<(Message, Timestamp), String> {
    let entry = entry.as_document().ok_or("an entry is not an object")?;
    let text = |name: &str| entry.get_str(name).map_err(|_| format!("an entry has no {name}"));
    let message = Message {
        id: text("id").and_then(one_line)?.to_owned(),
        subject: text("subject")?.parse().map_err(|error| format!("{error}"))?,
        payload: text("payload")?.to_owned(),
        traceparent: entry.get_str("traceparent").ok().and_then(TraceParent::parse),
    };
    let at = entry.get_datetime("at").map_err(|_| "an entry has no time".to_owned())?;
    Ok((message, Timestamp::from_millis(at.timestamp_millis())))
}
