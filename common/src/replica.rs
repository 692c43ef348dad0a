//! Replicas: local copies of records that another service owns, kept up to date by its events.

use std::time::Duration;

use tokio::time::Instant;

use crate::ids::RecordId;
use crate::listener::ListenError;
use crate::store::{Collection, Database, Entity, StoreError};

/// How long to wait for a record that was just created to arrive.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(1);

/// The age up to which a record may still be on its way. An older one has arrived, if it exists.
const RECENT: Duration = Duration::from_secs(5);

/// The delay between two reads of a copy. It doubles from the minimum to the maximum.
const MIN_POLL_DELAY: Duration = Duration::from_millis(1);
const MAX_POLL_DELAY: Duration = Duration::from_millis(10);

/// Local copies of another service's records.
///
/// Each event carries the whole record, so the newest version wins. Events may be lost, repeated, late or out of order.
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

    /// Stores the copy that an event carries, unless a newer one is stored. Returns the newest.
    ///
    /// # Errors
    ///
    /// [`ListenError::Unavailable`] while the database is unavailable.
    pub async fn apply(&self, copy: T) -> Result<T, ListenError> {
        // Most likely the version before it is stored, or nothing before the first.
        let mut written = match copy.version().checked_sub(1) {
            Some(before) => self.0.overwrite(before, &copy).await,
            None => self.0.insert(&copy, ()).await,
        };
        loop {
            match written {
                Ok(()) => return Ok(copy),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.into()),
            }
            written = match self.get(copy.id()).await? {
                Some(stored) if stored.version() >= copy.version() => return Ok(stored),
                Some(older) => self.0.overwrite(older.version(), &copy).await,
                None => self.0.insert(&copy, ()).await,
            };
        }
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
