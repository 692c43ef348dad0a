//! Where the payments are, in a build that only knows the embedded engines.

use std::path::Path;

use clap::Args;
use common::store::Database;

use super::embedded;
use crate::without_servers::check_unset;

/// Nothing to configure: the payments are in the data directory.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {}

impl Source {
    /// Opens the database that holds the payments.
    pub(super) async fn open(self, data: &Path) -> anyhow::Result<Database> {
        check_unset(&["MONGO_URI"])?;
        embedded::open(data)
    }
}
