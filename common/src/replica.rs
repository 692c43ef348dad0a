//! Replicas: local copies of records that another service owns, kept up to date by its events.

use std::time::Duration;

use tokio::time::Instant;

use crate::events::Event;
use crate::ids::RecordId;
use crate::listener::ListenError;
use crate::store::{Collection, Database, Entity, StoreError};

/// A copy that knows how to follow events of type `E`.
pub trait Follow<E: Event<Id = Self::Id>>: Entity {
    /// Returns the copy in the version of `event`, given the version before it (`None` if this is the first).
    ///
    /// Returns `None` if `event` contradicts `before`.
    fn follow(before: Option<Self>, event: E) -> Option<Self>;
}

/// Local copies of another service's records.
///
/// A copy follows its record version by version. Events may be repeated, late or out of order.
pub struct Replica<T>(Collection<T>);

impl<T> Clone for Replica<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Entity> Replica<T> {
    /// The copies in this database.
    pub fn new(database: &Database) -> Self {
        Self(database.collection())
    }

    /// Returns the copy of a record, if it has arrived.
    pub async fn get(&self, id: T::Id) -> Result<Option<T>, StoreError> {
        self.0.get(id).await
    }

    /// Like [`get`](Self::get), but waits for up to a second if the record was created within the last few seconds.
    ///
    /// A client that was answered `201` by one service may call another before the event has arrived there. The id
    /// tells when its record was created, so a lookup of an older id never waits.
    pub async fn get_arriving(&self, id: T::Id) -> Result<Option<T>, StoreError> {
        const RECENT: Duration = Duration::from_secs(5);
        const LIMIT: Duration = Duration::from_secs(1);

        let (now, created) = (self.0.clock().now(), id.created_at());
        if now.since(created) > RECENT || created.since(now) > RECENT {
            return self.get(id).await;
        }
        self.wait_for(id, LIMIT, |_| true).await
    }

    /// Applies an event and returns the copy as it is now. An event that was applied before changes nothing.
    ///
    /// # Errors
    ///
    /// [`ListenError::Retry`] while an earlier event is missing, [`ListenError::Reject`] if the event contradicts the
    /// copy.
    pub async fn apply<E>(&self, event: E) -> Result<T, ListenError>
    where
        E: Event<Id = T::Id>,
        T: Follow<E>,
    {
        let (id, version) = (event.record_id(), event.version());
        let Some(previous) = version.checked_sub(1) else {
            return self.create(event).await;
        };
        let before = match self.wait_for_version(id, previous).await? {
            Some(copy) if copy.version() >= version => return Ok(copy),
            Some(copy) if copy.version() == previous => copy,
            Some(_) | None => return Err(ListenError::retry(format!("version {previous} of {id} has not arrived"))),
        };
        let copy = next(Some(before), event)?;
        self.0.replace(&copy, ()).await?;
        Ok(copy)
    }

    /// Stores the first version, unless the record was copied before.
    async fn create<E>(&self, event: E) -> Result<T, ListenError>
    where
        E: Event<Id = T::Id>,
        T: Follow<E>,
    {
        let copy = next(None, event)?;
        match self.0.insert(&copy, ()).await {
            Err(StoreError::Conflict) => Ok(self.get(copy.id()).await?.unwrap_or(copy)),
            stored => Ok(stored.map(|()| copy)?),
        }
    }

    /// Waits briefly for a version that another task is about to write.
    ///
    /// Events of one record often arrive together and are handled concurrently. If each were redelivered until the one
    /// before it is stored, every redelivery would apply only one of them.
    async fn wait_for_version(&self, id: T::Id, version: u64) -> Result<Option<T>, StoreError> {
        self.wait_for(id, Duration::from_millis(30), |copy| copy.version() >= version).await
    }

    /// Polls until there is a copy that satisfies `condition`, for at most `limit`. Returns the last state seen.
    async fn wait_for(
        &self,
        id: T::Id,
        limit: Duration,
        condition: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, StoreError> {
        const MAX_PAUSE: Duration = Duration::from_millis(10);

        let deadline = Instant::now() + limit;
        let mut pause = Duration::from_millis(1);
        loop {
            let found = self.get(id).await?;
            if found.as_ref().is_some_and(&condition) || Instant::now() >= deadline {
                return Ok(found);
            }
            tokio::time::sleep(pause).await;
            pause = MAX_PAUSE.min(pause * 2);
        }
    }
}

fn next<E, T>(before: Option<T>, event: E) -> Result<T, ListenError>
where
    E: Event<Id = T::Id>,
    T: Follow<E>,
{
    let (id, version) = (event.record_id(), event.version());
    T::follow(before, event).ok_or_else(|| {
        ListenError::reject(format!("{} {version} of {id} contradicts the version before it", E::SUBJECT))
    })
}
