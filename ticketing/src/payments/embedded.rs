//! The payments in a data directory.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use common::clock::SystemClock;
use common::store::Database;
use engines::sqlite::SqliteStore;

use crate::data::PAYMENTS;

/// Opens the payments of the system whose data is in this directory; it may be running.
pub(super) fn open(data: &Path) -> anyhow::Result<Database> {
    let file = data.join(PAYMENTS);
    if !file.try_exists().with_context(|| format!("could not look for {}", file.display()))? {
        bail!("{} does not exist; name the system's data directory with --data-dir (DATA_DIR)", file.display());
    }
    Ok(Database::new(Arc::new(SqliteStore::open(&file, payments::SCHEMAS)?), Arc::new(SystemClock)))
}
