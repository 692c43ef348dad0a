//! Where the records are, in a build that only knows the embedded engines.

use std::path::Path;

use clap::Args;
use payments::StripeConfig;

use super::embedded;
use super::read::Sources;
use crate::without_servers::check_unset;

/// The variables of a build that reaches servers.
const VARIABLES: [&str; 5] = ["TICKETS_MONGO_URI", "ORDERS_MONGO_URI", "PAYMENTS_MONGO_URI", "NATS_URL", "REDIS_HOST"];

/// Nothing to configure: the records are in the data directory.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {}

impl Source {
    /// Opens the databases, the bus and the delayed jobs.
    pub(super) async fn open(self, data: &Path, stripe: &StripeConfig) -> anyhow::Result<Sources> {
        check_unset(&VARIABLES)?;
        embedded::open(data, stripe)
    }
}
