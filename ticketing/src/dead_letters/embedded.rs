//! The embedded bus in a data directory.

use std::path::Path;

use common::bus::Bus;
use engines::sqlite::SqliteBus;

use crate::data::{EVENTS, existing_database};

/// Opens the bus of the system whose data is in this directory; it may be running.
pub(super) fn open(data: &Path) -> anyhow::Result<Box<dyn Bus>> {
    Ok(Box::new(SqliteBus::open(&existing_database(data, EVENTS)?)?))
}
