//! Typed handles over the port. Services use these and never the port itself.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::handover::Handover;
use super::{Document, Expect, Find, Put, Schema, Store, StoreError};
use crate::clock::Clock;
use crate::events::Announcement;
use crate::ids::RecordId;

/// A domain type whose values are stored as documents.
pub trait Entity: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The type of the id.
    type Id: RecordId;
    /// The collection it is stored in.
    const SCHEMA: &'static Schema;

    /// The id.
    fn id(&self) -> Self::Id;
    /// The number of stored changes: 0 for a new entity.
    fn version(&self) -> u64;
}

/// The database of one service.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    handover: Arc<Handover>,
}

impl Database {
    /// Creates a database on this engine.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, handover: Arc::default() }
    }

    /// The collection of a domain type.
    pub fn collection<T: Entity>(&self) -> Collection<T> {
        Collection { database: self.clone(), entity: PhantomData }
    }

    /// The engine, for the relay and for health checks.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock that dates writes.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The stored events on their way to the relay.
    pub(crate) fn handover(&self) -> &Handover {
        &self.handover
    }
}

/// A query for entities, newest first.
#[derive(Clone, Debug)]
pub struct Query<I> {
    equal: Vec<(&'static str, Value)>,
    after: Option<I>,
    limit: usize,
}

impl<I> Query<I> {
    /// Finds the newest `limit` entities.
    pub fn newest(limit: usize) -> Self {
        Self { equal: Vec::new(), after: None, limit }
    }

    /// Keeps only entities whose field equals `value`.
    pub fn with(mut self, field: &'static str, value: impl fmt::Display) -> Self {
        self.equal.push((field, Value::String(value.to_string())));
        self
    }

    /// Keeps only entities without the field.
    pub fn without(mut self, field: &'static str) -> Self {
        self.equal.push((field, Value::Null));
        self
    }

    /// Keeps only entities older than the one with this id, if any.
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

    /// Stores a new entity together with an event that announces it, or `()` for none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if an entity with this id exists.
    pub async fn insert(&self, entity: &T, event: impl Announcement) -> Result<(), StoreError> {
        self.put(entity, Expect::Absent, event).await
    }

    /// Stores the next version of an entity together with an event that announces it, or `()` for none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] unless the stored entity has the version before it.
    pub async fn replace(&self, entity: &T, event: impl Announcement) -> Result<(), StoreError> {
        let before = entity.version().checked_sub(1).ok_or(StoreError::Conflict)?;
        self.put(entity, Expect::Version(before), event).await
    }

    /// Stores a newer version of an entity that another service owns, in place of the version `before`.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] unless the stored entity has the version `before`.
    pub(crate) async fn overwrite(&self, before: u64, entity: &T) -> Result<(), StoreError> {
        self.put(entity, Expect::Version(before), ()).await
    }

    /// Applies `change` to the stored entity, and repeats that if another writer changes the entity in the meantime.
    ///
    /// `change` returns the event that announces the change, or `()` for none. If it does not increment the version,
    /// nothing is stored or announced. Returns the current entity, or `None` if there is none with this id.
    ///
    /// # Errors
    ///
    /// Those of `change`, and those of reading and writing except [`StoreError::Conflict`].
    pub async fn update<A: Announcement, E: From<StoreError>>(
        &self,
        id: T::Id,
        change: impl FnMut(&mut T) -> Result<A, E>,
    ) -> Result<Option<T>, E> {
        match self.get(id).await? {
            Some(entity) => self.update_from(entity, change).await,
            None => Ok(None),
        }
    }

    /// Like [`update`](Self::update), but begins with the entity as the caller has read it. Reads it only if another
    /// writer has changed it since, so an entity that `change` leaves as it is may be out of date.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update).
    pub async fn update_from<A: Announcement, E: From<StoreError>>(
        &self,
        mut entity: T,
        mut change: impl FnMut(&mut T) -> Result<A, E>,
    ) -> Result<Option<T>, E> {
        loop {
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
            let Some(stored) = self.get(entity.id()).await? else { return Ok(None) };
            entity = stored;
        }
    }

    /// Deletes at most `limit` entities with ids before this one, oldest first. Returns how many.
    ///
    /// Only for entities that announce no events.
    pub async fn delete_before(&self, id: T::Id, limit: usize) -> Result<usize, StoreError> {
        self.database.store.delete_before(T::SCHEMA, &id.to_string(), limit).await
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.database.clock
    }

    async fn put(&self, entity: &T, expect: Expect, event: impl Announcement) -> Result<(), StoreError> {
        let message = event.into_message()?;
        let put = Put {
            schema: T::SCHEMA,
            document: to_document(entity)?,
            expect,
            events: message.into_iter().collect(),
            at: self.database.clock.now(),
        };
        let announces = !put.events.is_empty();
        let stored = self.database.store.put(put).await;
        if announces && matches!(stored, Err(StoreError::Unavailable(_))) {
            self.database.handover.note_unknown();
        }
        self.database.handover.offer(stored?);
        Ok(())
    }
}

/// The document of an entity.
pub(crate) fn to_document<T: Entity>(entity: &T) -> Result<Document, StoreError> {
    Ok(Document { id: entity.id().to_string(), version: entity.version(), body: serde_json::to_string(entity)? })
}

/// The entity in a document.
pub(crate) fn parse<T: Entity>(document: &Document) -> Result<T, StoreError> {
    serde_json::from_str(&document.body).map_err(|error| StoreError::corrupt(T::SCHEMA, &document.id, error))
}
