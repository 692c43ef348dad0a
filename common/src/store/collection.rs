//! The typed handles above the port: what services see of a store.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Document, Expect, Find, Put, Schema, Store, StoreError};
use crate::bus::Message;
use crate::clock::Clock;
use crate::ids::RecordId;

/// A domain type that is stored, one document each.
pub trait Entity: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What names it.
    type Id: RecordId;
    /// Where it is stored.
    const SCHEMA: &'static Schema;

    /// Its id.
    fn id(&self) -> Self::Id;
    /// How often it was changed: 0 when new, one more with every change that is stored.
    fn version(&self) -> u64;
}

/// The database of one service.
#[derive(Clone)]
pub struct Database {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    stored_events: Arc<Notify>,
}

impl Database {
    /// A database on this engine.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, stored_events: Arc::default() }
    }

    /// The collection of a domain type.
    pub fn collection<T: Entity>(&self) -> Collection<T> {
        Collection { database: self.clone(), entity: PhantomData }
    }

    /// The engine beneath, for the relay and for health checks.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock that documents are stamped by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Told whenever a write has left events to publish.
    pub fn stored_events(&self) -> &Notify {
        &self.stored_events
    }
}

/// Which entities to find, the newest first.
#[derive(Clone, Debug)]
pub struct Query<I> {
    equal: Vec<(&'static str, Value)>,
    after: Option<I>,
    limit: usize,
}

impl<I> Query<I> {
    /// The newest, at most `limit` of them.
    pub fn newest(limit: usize) -> Self {
        Self { equal: Vec::new(), after: None, limit }
    }

    /// Only those whose field equals `value`.
    pub fn with(mut self, field: &'static str, value: impl fmt::Display) -> Self {
        self.equal.push((field, Value::String(value.to_string())));
        self
    }

    /// Only those that do not have the field.
    pub fn without(mut self, field: &'static str) -> Self {
        self.equal.push((field, Value::Null));
        self
    }

    /// Only those older than the one of this id.
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
    /// The entity of this id, if there is one.
    pub async fn get(&self, id: T::Id) -> Result<Option<T>, StoreError> {
        let document = self.database.store.get(T::SCHEMA, &id.to_string()).await?;
        document.as_ref().map(entity).transpose()
    }

    /// Like [`get`](Self::get), for copies of another service's records: one that may still be on its way is waited for.
    ///
    /// Who was just answered `201` by one service may ask another a millisecond later, before the event has arrived
    /// there. An id tells when it was made, so only for one made within the last few seconds is there a wait, of a
    /// second at most.
    pub async fn get_arriving(&self, id: T::Id) -> Result<Option<T>, StoreError> {
        const FRESH: Duration = Duration::from_secs(5);

        let (now, made) = (self.database.clock.now(), id.created_at());
        if now.since(made) > FRESH || made.since(now) > FRESH {
            return self.get(id).await;
        }
        self.get_once(id, Duration::from_secs(1), |_| true).await
    }

    /// Like [`get`](Self::get), for copies of another service's records: waits for a version that is about to be
    /// written by whoever handles the event before, for a moment, and returns what is there then.
    ///
    /// Events of one record that arrive together are handled together. Were each put off until the one before is
    /// there, they would come again together, and one would be applied each time.
    pub async fn get_reaching(&self, id: T::Id, version: u64) -> Result<Option<T>, StoreError> {
        self.get_once(id, Duration::from_millis(30), |entity| entity.version() >= version).await
    }

    /// Looks until there is an entity that is as it should be, or for so long; returns what is there then.
    async fn get_once(
        &self,
        id: T::Id,
        longest: Duration,
        is_right: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, StoreError> {
        const LONGEST_PAUSE: Duration = Duration::from_millis(10);

        let deadline = Instant::now() + longest;
        let mut pause = Duration::from_millis(1);
        loop {
            let found = self.get(id).await?;
            if found.as_ref().is_some_and(&is_right) || Instant::now() >= deadline {
                return Ok(found);
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    /// The entities that match, the newest first.
    pub async fn find(&self, query: Query<T::Id>) -> Result<Vec<T>, StoreError> {
        let find = Find { equal: query.equal, after: query.after.map(|id| id.to_string()), limit: query.limit };
        self.database.store.find(T::SCHEMA, find).await?.iter().map(entity).collect()
    }

    /// Stores a new entity, together with the event that announces it.
    ///
    /// Fails with [`StoreError::Conflict`] if its id is taken.
    pub async fn insert(&self, entity: &T, event: Option<Message>) -> Result<(), StoreError> {
        self.put(entity, Expect::Absent, event).await
    }

    /// Stores the next version of an entity, together with the event that announces it.
    ///
    /// Fails with [`StoreError::Conflict`] unless the version before it is what is stored.
    pub async fn replace(&self, entity: &T, event: Option<Message>) -> Result<(), StoreError> {
        let before = entity.version().checked_sub(1).ok_or(StoreError::Conflict)?;
        self.put(entity, Expect::Version(before), event).await
    }

    /// Applies a change to the stored entity, again on its newest state whenever somebody else wrote first.
    ///
    /// `change` returns the event that announces the change. If it leaves the version as it was, nothing is written.
    /// Returns the entity as it now stands, `None` if there is none.
    pub async fn update<E: From<StoreError>>(
        &self,
        id: T::Id,
        mut change: impl FnMut(&mut T) -> Result<Option<Message>, E>,
    ) -> Result<Option<T>, E> {
        loop {
            let Some(mut entity) = self.get(id).await? else { return Ok(None) };
            let version = entity.version();
            let event = change(&mut entity)?;
            if entity.version() == version {
                return Ok(Some(entity));
            }
            debug_assert_eq!(entity.version(), version + 1, "a change is one version");
            match self.replace(&entity, event).await {
                Ok(()) => return Ok(Some(entity)),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn put(&self, entity: &T, expect: Expect, event: Option<Message>) -> Result<(), StoreError> {
        let (id, version) = (entity.id().to_string(), entity.version());
        let body = serde_json::to_string(entity).map_err(|error| corrupt::<T>(&id, &error))?;
        let announced = event.is_some();
        let put = Put {
            schema: T::SCHEMA,
            document: Document { id, version, body },
            expect,
            events: event.into_iter().collect(),
            at: self.database.clock.now(),
        };
        self.database.store.put(put).await?;
        if announced {
            self.database.stored_events.notify_one();
        }
        Ok(())
    }
}

fn entity<T: Entity>(document: &Document) -> Result<T, StoreError> {
    serde_json::from_str(&document.body).map_err(|error| corrupt::<T>(&document.id, &error))
}

fn corrupt<T: Entity>(id: &str, why: &serde_json::Error) -> StoreError {
    StoreError::Corrupt { collection: T::SCHEMA.collection, id: id.to_owned(), why: why.to_string() }
}
