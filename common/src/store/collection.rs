//! The typed handles over the port: what services see of a store.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;

use super::{Document, Expect, Find, Put, Schema, Store, StoreError};
use crate::clock::Clock;
use crate::events::Announcement;
use crate::ids::RecordId;

/// A domain type that is stored as one document each.
pub trait Entity: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type of its id.
    type Id: RecordId;
    /// Where it is stored.
    const SCHEMA: &'static Schema;

    /// Its id.
    fn id(&self) -> Self::Id;
    /// How often it was changed: 0 when new, one more with every stored change.
    fn version(&self) -> u64;
}

/// The database of one service.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    outbox_filled: Arc<Notify>,
}

impl Database {
    /// A database on this engine.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, outbox_filled: Arc::default() }
    }

    /// The collection of a domain type.
    pub fn collection<T: Entity>(&self) -> Collection<T> {
        Collection { database: self.clone(), entity: PhantomData }
    }

    /// The engine, for the relay and for health checks.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock that writes are stamped with.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Notified whenever a write has added events to the outbox.
    pub fn outbox_filled(&self) -> &Notify {
        &self.outbox_filled
    }
}

/// Which entities to find, newest first.
#[derive(Clone, Debug)]
pub struct Query<I> {
    equal: Vec<(&'static str, Value)>,
    after: Option<I>,
    limit: usize,
}

impl<I> Query<I> {
    /// The newest entities, at most `limit`.
    pub fn newest(limit: usize) -> Self {
        Self { equal: Vec::new(), after: None, limit }
    }

    /// Only those whose field equals `value`.
    pub fn with(mut self, field: &'static str, value: impl fmt::Display) -> Self {
        self.equal.push((field, Value::String(value.to_string())));
        self
    }

    /// Only those that lack the field.
    pub fn without(mut self, field: &'static str) -> Self {
        self.equal.push((field, Value::Null));
        self
    }

    /// Only those older than the one with this id.
    pub fn after(mut self, id: Option<I>) -> Self {
        self.after = id;
        self
    }
}

/// The stored entities of one type.
pub struct Collection<T> {
    database: Database,
    entity: PhantomData<fn() -> T>,
}

impl<T> Clone for Collection<T> {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), entity: PhantomData }
    }
}

impl<T: Entity> Collection<T> {
    /// Returns the entity with this id, if there is one.
    pub async fn get(&self, id: T::Id) -> Result<Option<T>, StoreError> {
        let document = self.database.store.get(T::SCHEMA, &id.to_string()).await?;
        document.as_ref().map(parse).transpose()
    }

    /// Returns the entities that match, newest first.
    pub async fn find(&self, query: Query<T::Id>) -> Result<Vec<T>, StoreError> {
        let find = Find { equal: query.equal, after: query.after.map(|id| id.to_string()), limit: query.limit };
        self.database.store.find(T::SCHEMA, find).await?.iter().map(parse).collect()
    }

    /// Stores a new entity together with the event that announces it, or `()` to announce nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if its id is taken.
    pub async fn insert(&self, entity: &T, event: impl Announcement) -> Result<(), StoreError> {
        self.put(entity, Expect::Absent, event).await
    }

    /// Stores the next version of an entity together with the event that announces it, or `()` to announce nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] unless the version before it is stored.
    pub async fn replace(&self, entity: &T, event: impl Announcement) -> Result<(), StoreError> {
        let before = entity.version().checked_sub(1).ok_or(StoreError::Conflict)?;
        self.put(entity, Expect::Version(before), event).await
    }

    /// Changes the stored entity; tries again on its newest state when another writer is first.
    ///
    /// `change` returns the event that announces the change. If it leaves the version as it was, nothing is written.
    /// Returns the entity as it is now, or `None` if there is none.
    pub async fn update<A: Announcement, E: From<StoreError>>(
        &self,
        id: T::Id,
        mut change: impl FnMut(&mut T) -> Result<A, E>,
    ) -> Result<Option<T>, E> {
        loop {
            let Some(mut entity) = self.get(id).await? else { return Ok(None) };
            let version = entity.version();
            let event = change(&mut entity)?;
            if entity.version() == version {
                return Ok(Some(entity));
            }
            debug_assert_eq!(entity.version(), version + 1, "a change increments the version by one");
            match self.replace(&entity, event).await {
                Ok(()) => return Ok(Some(entity)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.database.clock
    }

    async fn put(&self, entity: &T, expect: Expect, event: impl Announcement) -> Result<(), StoreError> {
        let message = event.into_message()?;
        let announced = message.is_some();
        let put = Put {
            schema: T::SCHEMA,
            document: Document {
                id: entity.id().to_string(),
                version: entity.version(),
                body: serde_json::to_string(entity)?,
            },
            expect,
            events: message.into_iter().collect(),
            at: self.database.clock.now(),
        };
        self.database.store.put(put).await?;
        if announced {
            self.database.outbox_filled.notify_one();
        }
        Ok(())
    }
}

fn parse<T: Entity>(document: &Document) -> Result<T, StoreError> {
    serde_json::from_str(&document.body).map_err(|error| StoreError::corrupt(T::SCHEMA, &document.id, error))
}
