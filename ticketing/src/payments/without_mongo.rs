//! Where the payments are, in a build that only knows the embedded engines.

use std::path::Path;

use anyhow::bail;
use clap::Args;
use common::store::Database;

use super::embedded;

/// Nothing to configure: the payments are in the data directory.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {}

impl Source {
    /// Opens the database that holds the payments.
    pub(super) async fn open(self, data: &Path) -> anyhow::Result<Database> {
        if std::env::var_os("MONGO_URI").is_some() {
            bail!(
                "MONGO_URI is set, but this program was built without MongoDB; build it with --features spread, or unset it"
            );
        }
        embedded::open(data)
    }
}
