//! The embedded bus in a data directory.

use std::path::Path;

use anyhow::{Context, bail};
use common::bus::Bus;
use engines::sqlite::SqliteBus;

use crate::data::EVENTS;

/// Opens the bus of the system whose data is in this directory; it may be running.
pub(super) fn open(data: &Path) -> anyhow::Result<Box<dyn Bus>> {
    let file = data.join(EVENTS);
    if !file.try_exists().with_context(|| format!("could not look for {}", file.display()))? {
        bail!("{} does not exist; name the system's data directory with --data-dir (DATA_DIR)", file.display());
    }
    Ok(Box::new(SqliteBus::open(&file)?))
}
