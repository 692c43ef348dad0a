//! Where the dead letters are, in a build that only knows the embedded engines.

use std::path::Path;

use anyhow::bail;
use clap::Args;
use common::bus::Bus;

use super::embedded;

/// Nothing to configure: the dead letters are in the data directory.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {}

impl Source {
    /// Opens the bus that holds the dead letters.
    pub(super) async fn open(self, data: &Path) -> anyhow::Result<Box<dyn Bus>> {
        if std::env::var_os("NATS_URL").is_some() {
            bail!(
                "NATS_URL is set, but this program was built without NATS; build it with --features spread, or unset it"
            );
        }
        embedded::open(data)
    }
}
