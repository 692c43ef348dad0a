//! The store on MongoDB: a collection a domain type, the outbox inside the documents.
//!
//! A write is one operation on one document, so it is atomic on any MongoDB, standalone servers included, without
//! transactions. The document holds the state, its `version`, and under `outbox` the events that wait:
//!
//! ```js
//! { _id: ObjectId('…'), version: Long('1'), title: 'Concert', price: Long('1999'), userId: ObjectId('…'),
//!   outbox: [{ id: 'ticket:updated/…/1', subject: 'ticket:updated', payload: '{…}', at: ISODate('…') }] }
//! ```
//!
//! - Inserts and compare-and-set updates only. There are no upserts, which compatible servers get wrong when they race.
//! - An update reads first which fields have to go. A pipeline update would spare the read, but not every compatible
//!   server has those; what stands in a version never changes, so nothing can come in between.
//! - Every write is journaled by a majority before it is answered; reads see only what a majority holds, and so never
//!   an event that a failover takes back. From the primary: one reads one's own writes.
//! - Nothing is retried here. A write whose answer is lost is [`Unavailable`](StoreError::Unavailable), whether it
//!   happened or not, never a conflict with itself. Who repeats it finds out: then it conflicts with what it wrote.
//! - Every call ends within a second and a half, also when the server is gone or hangs.
//! - Unlike in SQLite, a unique field that is `null` counts as a value. Leave the field out.

mod body;
mod error;
mod outbox;
mod startup;

use std::time::Duration;

use async_trait::async_trait;
use common::store::{Document, Expect, Find, IndexKind, Put, Schema, Store, StoreError, Unpublished};
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document as Stored, doc};
use mongodb::options::Hint;

use self::body::{OUTBOX, from_stored, object_id, to_equal, to_stored, version};
use self::error::Failure;

pub use self::startup::ConnectError;

/// A store in one MongoDB database.
pub struct MongoStore {
    database: mongodb::Database,
    schemas: Vec<&'static Schema>,
    limit: Duration,
    identity: String,
}

impl MongoStore {
    fn collection(&self, schema: &Schema) -> Collection<Stored> {
        self.database.collection(schema.collection)
    }
}

#[async_trait]
impl Store for MongoStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        let Some(id) = object_id(id) else { return Ok(None) };
        let collection = self.collection(schema);
        within(self.limit, async move {
            let found = collection.find_one(doc! { "_id": id }).projection(doc! { OUTBOX: 0 }).await?;
            Ok(found.map(|stored| from_stored(schema, stored)).transpose()?)
        })
        .await
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        let fields: Vec<&str> = query.equal.iter().map(|(field, _)| *field).collect();
        let index = schema.indexes.iter().find(|index| index.fields == fields);
        let is_unique = index.is_some_and(|index| index.kind == IndexKind::Unique);
        let lacks = query.equal.iter().any(|(_, value)| value.is_null());
        // A sparse index does not know who lacks the field.
        let index = index.filter(|_| !(is_unique && lacks));

        let mut filter = Stored::new();
        for (field, value) in query.equal {
            let Some(value) = to_equal(schema, field, value) else { return Ok(Vec::new()) };
            filter.insert(field, value);
        }
        if let Some(after) = query.after {
            let Some(after) = object_id(&after) else { return Ok(Vec::new()) };
            filter.insert("_id", doc! { "$lt": after });
        }
        // To MongoDB, 0 is no limit.
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let (collection, most) = (self.collection(schema), limit(query.limit));
        within(self.limit, async move {
            let mut find = collection.find(filter).projection(doc! { OUTBOX: 0 }).limit(most);
            // Named, because the planner might prefer to walk along the ids until enough match.
            if let Some(index) = index {
                find = find.hint(Hint::Name(index.name.to_owned()));
            }
            // One document, or none, as a unique index has it, needs no sorting.
            if !(is_unique && index.is_some()) {
                find = find.sort(doc! { "_id": -1 });
            }
            let found: Vec<Stored> = find.await?.try_collect().await?;
            Ok(found.into_iter().map(|stored| from_stored(schema, stored)).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn put(&self, put: Put) -> Result<(), StoreError> {
        let collection = self.collection(put.schema);
        let mut stored = to_stored(put.schema, &put.document)?;
        let events: Vec<Stored> = put.events.iter().map(|event| outbox::to_entry(event, put.at)).collect();
        within(self.limit, async move {
            match put.expect {
                Expect::Absent => {
                    if !events.is_empty() {
                        stored.insert(OUTBOX, events);
                    }
                    collection.insert_one(stored).await?;
                    Ok(())
                }
                Expect::Version(expected) => replace(&collection, put.schema, stored, expected, events).await,
            }
        })
        .await
    }

    async fn unpublished(&self, limit: usize) -> Result<Vec<Unpublished>, StoreError> {
        self.read_outboxes(limit).await
    }

    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        self.clear_outboxes(events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let database = self.database.clone();
        within(self.limit, async move {
            database.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        })
        .await
    }
}

/// Compares and sets.
async fn replace(
    collection: &Collection<Stored>,
    schema: &'static Schema,
    mut stored: Stored,
    expected: u64,
    events: Vec<Stored>,
) -> Result<(), Failure> {
    let Some(Bson::ObjectId(id)) = stored.remove("_id") else { return Err(StoreError::Conflict.into()) };
    let found = collection.find_one(doc! { "_id": id }).projection(doc! { OUTBOX: 0 }).await?;
    let Some(before) = found else { return Err(StoreError::Conflict.into()) };
    if version(&before).map_err(|why| StoreError::corrupt(schema, &id.to_hex(), why))? != expected {
        return Err(StoreError::Conflict.into());
    }

    let gone = before.keys().filter(|name| *name != "_id" && !stored.contains_key(name));
    let gone: Stored = gone.map(|name| (name.clone(), Bson::String(String::new()))).collect();
    let mut change = doc! { "$set": stored };
    if !gone.is_empty() {
        change.insert("$unset", gone);
    }
    if !events.is_empty() {
        change.insert("$push", doc! { OUTBOX: { "$each": events } });
    }
    let stands = doc! { "_id": id, "version": before.get("version") };
    let updated = collection.update_one(stands, change).await?;
    if updated.matched_count == 0 { Err(StoreError::Conflict.into()) } else { Ok(()) }
}

/// Runs `work` for `limit` at most.
///
/// In a task of its own: the driver wants its futures driven to their end, also when nobody waits for them any more.
async fn within<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>> + Send + 'static,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, tokio::spawn(work)).await {
        Ok(Ok(outcome)) => outcome.map_err(StoreError::from),
        Ok(Err(failed)) => Err(StoreError::unavailable(failed)),
        Err(_elapsed) => Err(StoreError::unavailable(format!("no response within {limit:?}"))),
    }
}

fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
