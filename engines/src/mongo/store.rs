//! Reading and writing documents.

use async_trait::async_trait;
use common::store::{Document, Expect, Find, Index, IndexKind, Put, Schema, Store, StoreError, Unpublished};
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document as Stored, doc};
use mongodb::options::Hint;

use super::body::{OUTBOX, from_stored, object_id, to_equal, to_stored, version};
use super::call::{limit, with_timeout};
use super::database::MongoStore;
use super::error::CallError;
use super::outbox::to_entry;

#[async_trait]
impl Store for MongoStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        let Some(id) = object_id(id) else { return Ok(None) };
        let collection = self.collection(schema);
        with_timeout(self.timeout, async move {
            let found = collection.find_one(doc! { "_id": id }).projection(doc! { OUTBOX: 0 }).await?;
            Ok(found.map(|stored| from_stored(schema, stored)).transpose()?)
        })
        .await
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        // MongoDB reads 0 as no limit.
        if query.limit == 0 {
            return Ok(Vec::new());
        }
        let index = usable_index(schema, &query);
        let is_unique = index.is_some_and(|index| index.kind == IndexKind::Unique);
        let mut filter = Stored::new();
        for (field, value) in query.equal {
            let Some(value) = to_equal(schema, field, value) else { return Ok(Vec::new()) };
            filter.insert(field, value);
        }
        if let Some(after) = query.after {
            let Some(after) = object_id(&after) else { return Ok(Vec::new()) };
            filter.insert("_id", doc! { "$lt": after });
        }
        let (collection, limit) = (self.collection(schema), limit(query.limit));
        with_timeout(self.timeout, async move {
            let mut find = collection.find(filter).projection(doc! { OUTBOX: 0 }).limit(limit);
            // Without the hint, the planner might scan the ids until enough documents match.
            if let Some(index) = index {
                find = find.hint(Hint::Name(index.name.to_owned()));
            }
            // A unique index yields one document at most, which needs no sorting.
            if !is_unique {
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
        let events: Vec<Stored> = put.events.iter().map(|event| to_entry(event, put.at)).collect();
        with_timeout(self.timeout, async move {
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

    async fn delete_before(&self, schema: &'static Schema, id: &str, limit: usize) -> Result<usize, StoreError> {
        // MongoDB reads 0 as no limit.
        let (Some(id), 1..) = (object_id(id), limit) else { return Ok(0) };
        let (collection, limit) = (self.collection(schema), self::limit(limit));
        with_timeout(self.timeout, async move {
            let oldest = collection.find(doc! { "_id": { "$lt": id } }).projection(doc! { "_id": 1 });
            let found: Vec<Stored> = oldest.sort(doc! { "_id": 1 }).limit(limit).await?.try_collect().await?;
            let ids: Vec<&Bson> = found.iter().filter_map(|stored| stored.get("_id")).collect();
            let deleted = collection.delete_many(doc! { "_id": { "$in": ids } }).await?;
            Ok(usize::try_from(deleted.deleted_count).unwrap_or(usize::MAX))
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let database = self.database.clone();
        with_timeout(self.timeout, async move {
            database.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        })
        .await
    }
}

/// The index over exactly the fields of a query.
fn usable_index(schema: &Schema, query: &Find) -> Option<&'static Index> {
    let fields: Vec<&str> = query.equal.iter().map(|(field, _)| *field).collect();
    let index = schema.indexes.iter().find(|index| index.fields == fields)?;
    let looks_for_absence = query.equal.iter().any(|(_, value)| value.is_null());
    // A unique index is sparse: it does not contain documents that lack the field.
    (index.kind != IndexKind::Unique || !looks_for_absence).then_some(index)
}

/// Replaces a document if it is in the expected version.
async fn replace(
    collection: &Collection<Stored>,
    schema: &'static Schema,
    mut stored: Stored,
    expected: u64,
    events: Vec<Stored>,
) -> Result<(), CallError> {
    let Some(Bson::ObjectId(id)) = stored.remove("_id") else { return Err(StoreError::Conflict.into()) };
    let found = collection.find_one(doc! { "_id": id }).projection(doc! { OUTBOX: 0 }).await?;
    let Some(before) = found else { return Err(StoreError::Conflict.into()) };
    if version(&before).map_err(|why| StoreError::corrupt(schema, &id.to_hex(), why))? != expected {
        return Err(StoreError::Conflict.into());
    }

    let removed = before.keys().filter(|name| *name != "_id" && !stored.contains_key(name));
    let removed: Stored = removed.map(|name| (name.clone(), Bson::String(String::new()))).collect();
    let mut change = doc! { "$set": stored };
    if !removed.is_empty() {
        change.insert("$unset", removed);
    }
    if !events.is_empty() {
        change.insert("$push", doc! { OUTBOX: { "$each": events } });
    }
    let unchanged = doc! { "_id": id, "version": before.get("version") };
    let updated = collection.update_one(unchanged, change).await?;
    if updated.matched_count == 0 { Err(StoreError::Conflict.into()) } else { Ok(()) }
}
