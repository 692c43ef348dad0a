//! Where the records and the bus are, in a build that only knows the embedded engines.

use std::path::Path;

use clap::Args;

use super::{Engines, Owner, embedded};
use crate::without_servers::check_unset;

/// Nothing to configure: the records are in the data directory.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {}

impl Source {
    /// Opens the engines of the service that owns the records.
    pub(super) async fn open(self, owner: Owner, data: &Path) -> anyhow::Result<Engines> {
        check_unset(&["MONGO_URI", "NATS_URL"])?;
        embedded::open(owner, data)
    }
}
