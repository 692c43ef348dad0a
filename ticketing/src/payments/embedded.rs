//! The payments in a data directory.

use std::path::Path;
use std::sync::Arc;

use common::clock::SystemClock;
use common::store::Database;
use engines::sqlite::SqliteStore;

use crate::data::{PAYMENTS, existing_database};

/// Opens the payments of the system whose data is in this directory; it may be running.
pub(super) fn open(data: &Path) -> anyhow::Result<Database> {
    let store = SqliteStore::open(&existing_database(data, PAYMENTS)?, payments::SCHEMAS)?;
    Ok(Database::new(Arc::new(store), Arc::new(SystemClock)))
}
