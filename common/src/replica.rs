//! Replicas: local copies of records that another service owns, kept up to date by its events.

use std::time::Duration;

use tokio::time::Instant;

use crate::events::Event;
use crate::ids::RecordId;
use crate::listener::ListenError;
use crate::store::{Collection, Database, Entity, StoreError};

/// How long to wait for a record that was just created to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The age up to which a record may still be on its way. An older one has arrived, if it exists.
const RECENT: Duration = Duration::from_secs(5);

/// How long to wait for another task to store the version that precedes an event.
///
/// Events of one record often arrive together and are handled concurrently. Without the wait, each redelivery would
/// apply only one of them.
const REORDER_TIMEOUT: Duration = Duration::from_millis(30);

/// The delay between two reads of a copy. It doubles from the minimum to the maximum.
const MIN_POLL_DELAY: Duration = Duration::from_millis(1);
const MAX_POLL_DELAY: Duration = Duration::from_millis(10);

/// A copy whose next version follows from an event of type `E`.
pub trait Follow<E: Event<Id = Self::Id>>: Entity {
    /// Returns the copy in the version of `event`, or `None` if `event` contradicts the version before it.
    ///
    /// `before` is the copy in that version, or `None` if the event is the first.
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

    /// Like [`get`](Self::get), but waits for up to a second for a record created within the last few seconds.
    ///
    /// A client that has just created a record at one service may use it at another before the event arrives there. The
    /// id holds the creation time, so a lookup of an older record never waits.
    pub async fn get_arriving(&self, id: T::Id) -> Result<Option<T>, StoreError> {
        let (now, created) = (self.0.clock().now(), id.created_at());
        if now.since(created) > RECENT || created.since(now) > RECENT {
            return self.get(id).await;
        }
        self.wait_for(id, ARRIVAL_TIMEOUT, |_| true).await
    }

    /// Applies an event and returns the current copy.
    ///
    /// An event whose version the copy has already reached counts as redelivered and changes nothing.
    ///
    /// # Errors
    ///
    /// [`ListenError::Retry`] while an earlier event is missing or the database is unavailable, [`ListenError::Reject`]
    /// if the event contradicts the copy.
    pub async fn apply<E>(&self, event: E) -> Result<T, ListenError>
    where
        E: Event<Id = T::Id>,
        T: Follow<E>,
    {
        match event.version().checked_sub(1) {
            None => self.create(event).await,
            Some(previous) => self.advance(event, previous).await,
        }
    }

    /// Stores the first version of a copy.
    async fn create<E>(&self, event: E) -> Result<T, ListenError>
    where
        E: Event<Id = T::Id>,
        T: Follow<E>,
    {
        let copy = follow(None, event)?;
        match self.0.insert(&copy, ()).await {
            // The event was already applied.
            Err(StoreError::Conflict) => Ok(self.get(copy.id()).await?.unwrap_or(copy)),
            result => Ok(result.map(|()| copy)?),
        }
    }

    /// Stores the version of a copy that follows `previous`.
    async fn advance<E>(&self, event: E, previous: u64) -> Result<T, ListenError>
    where
        E: Event<Id = T::Id>,
        T: Follow<E>,
    {
        let id = event.record_id();
        let Some(copy) = self.wait_for(id, REORDER_TIMEOUT, |copy: &T| copy.version() >= previous).await? else {
            return Err(ListenError::retry(format!("version {previous} of {id} has not arrived")));
        };
        if copy.version() > previous {
            // The event was already applied.
            return Ok(copy);
        }
        let copy = follow(Some(copy), event)?;
        self.0.replace(&copy, ()).await?;
        Ok(copy)
    }

    /// Polls for a copy that satisfies `condition`. Returns `None` after `timeout`.
    async fn wait_for(
        &self,
        id: T::Id,
        timeout: Duration,
        condition: impl Fn(&T) -> bool,
    ) -> Result<Option<T>, StoreError> {
        let deadline = Instant::now() + timeout;
        let mut delay = MIN_POLL_DELAY;
        loop {
            let copy = self.get(id).await?.filter(&condition);
            if copy.is_some() || Instant::now() >= deadline {
                return Ok(copy);
            }
            tokio::time::sleep(delay).await;
            delay = MAX_POLL_DELAY.min(delay * 2);
        }
    }
}

fn follow<E, T>(before: Option<T>, event: E) -> Result<T, ListenError>
where
    E: Event<Id = T::Id>,
    T: Follow<E>,
{
    let (id, version) = (event.record_id(), event.version());
    T::follow(before, event).ok_or_else(|| {
        ListenError::reject(format!("{} {version} of {id} contradicts the version before it", E::SUBJECT))
    })
}
