//! The records and the bus in a data directory.

use std::path::Path;
use std::sync::Arc;

use engines::sqlite::{SqliteBus, SqliteStore};

use super::{Engines, Owner};
use crate::data::{EVENTS, existing_database};

/// Opens the engines of the system whose data is in this directory; it may be running.
pub(super) fn open(owner: Owner, data: &Path) -> anyhow::Result<Engines> {
    let store = existing_database(data, &format!("{}.db", owner.name()))?;
    let bus = existing_database(data, EVENTS)?;
    Ok(Engines { store: Arc::new(SqliteStore::open(&store, owner.schemas())?), bus: Arc::new(SqliteBus::open(&bus)?) })
}
