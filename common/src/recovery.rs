//! Recovery: restores a database that is older than its events.
//!
//! Other services have acted on whatever an owner has announced. So if a database was restored from an older copy, its
//! service would contradict what it has said before: it would sell a sold ticket again, or announce a second version 4
//! that everybody ignores. At its start a service therefore reads its own events that follow the last position it has
//! noted in the database, and stores each state that is newer than the one it has.
//!
//! Copies of other services' records are not restored here: their owners [republish](crate::republish) them.

use futures_util::TryStreamExt;
use tracing::{error, warn};

use crate::bus::{Bus, BusError, HistoryStart};
use crate::clock::Timestamp;
use crate::error::chain;
use crate::events::Message;
use crate::outbox::{Published, load_published};
use crate::records::Records;
use crate::store::{Database, Expect, Put, Store, StoreError};

/// Why a database could not be compared with its events.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The database cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The events cannot be read.
    #[error(transparent)]
    Bus(#[from] BusError),
}

/// What an event means for the database.
enum Outcome {
    /// The database knows that state or a newer one, or the event does not say enough to restore it.
    Known,
    /// The state was stored.
    Restored,
    /// A record that is not restored yet is in the way.
    Blocked,
}

/// Restores what the database of a service lacks. Returns what the service has published.
pub(crate) async fn recover(
    service: &'static str,
    database: &Database,
    bus: &dyn Bus,
    records: Option<Records>,
) -> Result<Published, RecoveryError> {
    let published = load_published(database).await?;
    let Some(records) = records else { return Ok(published) };
    let store = &**database.store();
    let after = match published.position() {
        Some(position) => position,
        // The database is empty: new, or lost.
        None if store.count(records.schema).await? == 0 => 0,
        // An earlier version of the program has written it.
        None => return Ok(published),
    };
    Recovery { service, store, bus, records, now: database.clock().now() }.run(after).await?;
    Ok(published)
}

struct Recovery<'a> {
    service: &'static str,
    store: &'a dyn Store,
    bus: &'a dyn Bus,
    records: Records,
    now: Timestamp,
}

impl Recovery<'_> {
    /// Stores each state that was announced after this position of the bus and is not in the database.
    async fn run(&self, after: u64) -> Result<(), RecoveryError> {
        let mut pages = self.bus.history(self.records.subjects, HistoryStart::After(after));
        let (mut restored, mut blocked) = (0, Vec::new());
        while let Some(page) = pages.try_next().await? {
            for (_, event) in page {
                match self.restore(&event).await? {
                    Outcome::Known => {}
                    Outcome::Restored => restored += 1,
                    Outcome::Blocked => blocked.push(event),
                }
            }
        }
        for event in blocked {
            restored += u32::from(matches!(self.restore(&event).await?, Outcome::Restored));
        }
        if restored > 0 {
            let service = self.service;
            warn!(
                service,
                restored,
                "the database was older than its events and is restored from them; republish the records of the other \
                 services that this one reads"
            );
        }
        Ok(())
    }

    async fn restore(&self, event: &Message) -> Result<Outcome, StoreError> {
        let Some(id) = event.record_id() else { return Ok(Outcome::Known) };
        let schema = self.records.schema;
        let stored = self.store.get(schema, id).await?;
        let restored = match self.records.restore(event, stored.as_ref()) {
            Ok(restored) => restored,
            Err(error) => {
                warn!(id = event.id, error = chain(&error), "skipped an invalid event");
                return Ok(Outcome::Known);
            }
        };
        let Some(document) = restored else {
            if stored.is_none() {
                error!(service = self.service, id = event.id, "announced a record that the database does not have");
            }
            return Ok(Outcome::Known);
        };
        let expect = stored.map_or(Expect::Absent, |stored| Expect::Version(stored.version));
        match self.store.put(Put { schema, document, expect, events: Vec::new(), at: self.now }).await {
            Ok(_) => Ok(Outcome::Restored),
            // Another replica restores it as well.
            Err(StoreError::Conflict) => Ok(Outcome::Known),
            Err(StoreError::Duplicate(_)) => Ok(Outcome::Blocked),
            Err(error) => Err(error),
        }
    }
}
