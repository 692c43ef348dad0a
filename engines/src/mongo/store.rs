//! Reading and writing documents.

use async_trait::async_trait;
use common::clock::Timestamp;
use common::store::{Document, Expect, Find, Index, IndexKind, Outbox, Put, Schema, Store, StoreError, Unpublished};
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document as Stored, doc};
use mongodb::options::Hint;

use super::body::{OUTBOX, WRITTEN_AT, from_stored, object_id, to_equal, to_stored, version, written_at};
use super::call::{limit, with_timeout};
use super::database::MongoStore;
use super::error::CallError;
use super::outbox::{to_entry, token};

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

    async fn scan(
        &self,
        schema: &'static Schema,
        after: Option<String>,
        max: usize,
    ) -> Result<Vec<(Document, Timestamp)>, StoreError> {
        // MongoDB reads 0 as no limit.
        if max == 0 {
            return Ok(Vec::new());
        }
        let older = after.and_then(|after| object_id(&after)).map(|after| doc! { "_id": { "$lt": after } });
        let collection = self.collection(schema);
        with_timeout(self.timeout, async move {
            let page = collection.find(older.unwrap_or_default()).projection(doc! { OUTBOX: 0 });
            let found: Vec<Stored> = page.sort(doc! { "_id": -1 }).limit(limit(max)).await?.try_collect().await?;
            let written = |stored: Stored| {
                let at = written_at(&stored);
                Ok::<_, StoreError>((from_stored(schema, stored)?, at))
            };
            Ok(found.into_iter().map(written).collect::<Result<_, _>>()?)
        })
        .await
    }

    async fn count(&self, schema: &'static Schema) -> Result<u64, StoreError> {
        let collection = self.collection(schema);
        with_timeout(self.timeout, async move { Ok(collection.estimated_document_count().await?) }).await
    }

    async fn put(&self, put: Put) -> Result<Vec<Unpublished>, StoreError> {
        let Put { schema, document, expect, events, at } = put;
        let collection = self.collection(schema);
        let mut stored = to_stored(schema, &document)?;
        stored.insert(WRITTEN_AT, DateTime::from_millis(at.as_millis()));
        let entries: Vec<Stored> = events.iter().map(|event| to_entry(event, at)).collect();
        with_timeout(self.timeout, async move {
            match expect {
                Expect::Absent => drop(collection.insert_one(with_outbox(stored, entries)).await?),
                Expect::Version(expected) => replace(&collection, schema, stored, expected, entries).await?,
            }
            Ok(())
        })
        .await?;
        let token = token(schema, &document.id);
        Ok(events.into_iter().map(|message| Unpublished { token: token.clone(), message, since: at }).collect())
    }

    async fn unpublished(&self, limit: usize) -> Result<Outbox, StoreError> {
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

/// Adds the outbox, which is absent while it is empty.
fn with_outbox(mut stored: Stored, entries: Vec<Stored>) -> Stored {
    if !entries.is_empty() {
        stored.insert(OUTBOX, entries);
    }
    stored
}

/// Replaces a document if it is in the expected version.
async fn replace(
    collection: &Collection<Stored>,
    schema: &'static Schema,
    stored: Stored,
    expected: u64,
    entries: Vec<Stored>,
) -> Result<(), CallError> {
    let Some(Bson::ObjectId(id)) = stored.get("_id").cloned() else { return Err(StoreError::Conflict.into()) };
    let expected_version = i64::try_from(expected).map_err(|_| StoreError::Conflict)?;
    let without_outbox = doc! { "_id": id, "version": expected_version, OUTBOX: { "$exists": false } };
    let whole = with_outbox(stored.clone(), entries.clone());
    if collection.replace_one(without_outbox, whole).await?.matched_count == 1 {
        return Ok(());
    }
    update(collection, schema, id, stored, expected, entries).await
}

/// Replaces the fields of a document but keeps what is in its outbox.
async fn update(
    collection: &Collection<Stored>,
    schema: &'static Schema,
    id: ObjectId,
    mut stored: Stored,
    expected: u64,
    entries: Vec<Stored>,
) -> Result<(), CallError> {
    stored.remove("_id");
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
    if !entries.is_empty() {
        change.insert("$push", doc! { OUTBOX: { "$each": entries } });
    }
    let unchanged = doc! { "_id": id, "version": before.get("version") };
    let updated = collection.update_one(unchanged, change).await?;
    if updated.matched_count == 0 { Err(StoreError::Conflict.into()) } else { Ok(()) }
}
