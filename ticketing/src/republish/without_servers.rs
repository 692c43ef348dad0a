//! Where the records and the bus are, in a build that only knows the embedded engines.

use std::path::Path;

use anyhow::bail;
use clap::Args;

use super::{Engines, Owner, embedded};

/// Nothing to configure: the records are in the data directory.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {}

impl Source {
    /// Opens the engines of the service that owns the records.
    pub(super) async fn open(self, owner: Owner, data: &Path) -> anyhow::Result<Engines> {
        if let Some(variable) = ["MONGO_URI", "NATS_URL"].into_iter().find(|name| std::env::var_os(name).is_some()) {
            bail!(
                "{variable} is set, but this program was built without MongoDB and NATS; build it with --features \
                 spread, or unset it"
            );
        }
        embedded::open(owner, data)
    }
}
