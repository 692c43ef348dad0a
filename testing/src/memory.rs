//! A store in memory, for tests that replay an exact sequence of steps.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use common::clock::Timestamp;
use common::store::{Document, Expect, Find, IndexKind, Outbox, Put, Schema, Store, StoreError, Unpublished};
use serde_json::Value;
use tokio::task::yield_now;

/// Decides how long an operation takes and whether it fails, so that a test controls how tasks interleave.
pub trait Pace: Send + Sync + 'static {
    /// How often an operation lets other tasks run before it happens.
    fn yields(&self) -> u32;

    /// How a write ends.
    fn write(&self) -> WriteFault;
}

/// How a write ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    /// As it should.
    None,
    /// It does not happen, and is reported as unavailable.
    Lost,
    /// It happens, and is reported as unavailable.
    ResponseLost,
}

/// A store in memory that behaves as the engines do. Clones share the data, which outlives a service that uses them.
#[derive(Clone)]
pub struct MemoryStore {
    data: Arc<Mutex<Data>>,
    pace: Arc<dyn Pace>,
}

#[derive(Default)]
struct Data {
    collections: HashMap<&'static str, BTreeMap<String, Stored>>,
    outbox: BTreeMap<u64, Unpublished>,
    events: u64,
}

struct Stored {
    document: Document,
    fields: Value,
    written_at: Timestamp,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new(pace: Arc<dyn Pace>) -> Self {
        Self { data: Arc::default(), pace }
    }

    async fn data(&self) -> MutexGuard<'_, Data> {
        for _ in 0..self.pace.yields() {
            yield_now().await;
        }
        self.data.lock().expect("no poison")
    }
}

impl Data {
    fn write(&mut self, put: Put) -> Result<Vec<Unpublished>, StoreError> {
        let Put { schema, document, expect, events, at } = put;
        let fields: Value = serde_json::from_str(&document.body)?;
        let collection = self.collections.entry(schema.collection).or_default();
        let stored = collection.get(&document.id).map(|stored| stored.document.version);
        let expected = match expect {
            Expect::Absent => None,
            Expect::Version(version) => Some(version),
        };
        if stored != expected {
            return Err(StoreError::Conflict);
        }
        for index in schema.indexes.iter().filter(|index| index.kind == IndexKind::Unique) {
            let key = |fields: &Value| -> Option<Vec<Value>> {
                index.fields.iter().map(|field| fields.get(field).cloned()).collect()
            };
            let own = key(&fields);
            let is_taken = |(id, stored): (&String, &Stored)| *id != document.id && key(&stored.fields) == own;
            if own.is_some() && collection.iter().any(is_taken) {
                return Err(StoreError::Duplicate(index.name.to_owned()));
            }
        }
        collection.insert(document.id.clone(), Stored { document, fields, written_at: at });
        let mut announced = Vec::new();
        for message in events {
            self.events += 1;
            let event = Unpublished { token: self.events.to_string(), message, since: at };
            self.outbox.insert(self.events, event.clone());
            announced.push(event);
        }
        Ok(announced)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        let data = self.data().await;
        let stored = data.collections.get(schema.collection).and_then(|collection| collection.get(id));
        Ok(stored.map(|stored| stored.document.clone()))
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        let data = self.data().await;
        let Some(collection) = data.collections.get(schema.collection) else { return Ok(Vec::new()) };
        let matches = |stored: &&Stored| {
            let field = |name: &str| stored.fields.get(name).unwrap_or(&Value::Null);
            query.equal.iter().all(|(name, value)| field(name) == value)
        };
        let older = collection.iter().rev().filter(|(id, _)| query.after.as_ref().is_none_or(|after| *id < after));
        let found = older.map(|(_, stored)| stored).filter(matches).take(query.limit);
        Ok(found.map(|stored| stored.document.clone()).collect())
    }

    async fn scan(
        &self,
        schema: &'static Schema,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(Document, Timestamp)>, StoreError> {
        let data = self.data().await;
        let Some(collection) = data.collections.get(schema.collection) else { return Ok(Vec::new()) };
        let older = collection.iter().rev().filter(|(id, _)| after.as_ref().is_none_or(|after| *id < after));
        Ok(older.take(limit).map(|(_, stored)| (stored.document.clone(), stored.written_at)).collect())
    }

    async fn count(&self, schema: &'static Schema) -> Result<u64, StoreError> {
        Ok(self.data().await.collections.get(schema.collection).map_or(0, BTreeMap::len) as u64)
    }

    async fn put(&self, put: Put) -> Result<Vec<Unpublished>, StoreError> {
        let mut data = self.data().await;
        let fault = self.pace.write();
        if fault == WriteFault::Lost {
            return Err(StoreError::unavailable("the write was lost"));
        }
        let written = data.write(put);
        if fault == WriteFault::ResponseLost { Err(StoreError::unavailable("the response was lost")) } else { written }
    }

    async fn unpublished(&self, limit: usize) -> Result<Outbox, StoreError> {
        let events = self.data().await.outbox.values().take(limit).cloned().collect();
        Ok(Outbox { events, invalid: Vec::new() })
    }

    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        let mut data = self.data().await;
        for event in events {
            let token: Option<u64> = event.token.parse().ok();
            token.and_then(|token| data.outbox.remove(&token));
        }
        Ok(())
    }

    async fn delete_before(&self, schema: &'static Schema, id: &str, limit: usize) -> Result<usize, StoreError> {
        let mut data = self.data().await;
        let Some(collection) = data.collections.get_mut(schema.collection) else { return Ok(0) };
        let old: Vec<String> = collection.keys().take_while(|key| key.as_str() < id).take(limit).cloned().collect();
        old.iter().for_each(|id| drop(collection.remove(id)));
        Ok(old.len())
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
