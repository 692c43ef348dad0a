//! Where the dead letters are, in a build that only knows the embedded engines.

use std::path::Path;

use clap::Args;
use common::bus::Bus;

use super::embedded;
use crate::without_servers::check_unset;

/// Nothing to configure: the dead letters are in the data directory.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {}

impl Source {
    /// Opens the bus that holds the dead letters.
    pub(super) async fn open(self, data: &Path) -> anyhow::Result<Box<dyn Bus>> {
        check_unset(&["NATS_URL"])?;
        embedded::open(data)
    }
}
