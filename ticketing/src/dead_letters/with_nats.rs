//! Where the dead letters are, in a build that also reaches NATS.

use std::path::Path;

use clap::Args;
use common::bus::Bus;
use common::config::secret;
use engines::nats::{NatsBus, NatsConfig};
use secrecy::SecretString;

use super::embedded;

/// The bus of a spread system.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {
    /// Bus of a spread system, instead of a data directory: nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", hide_env_values = true, global = true, value_parser = secret, value_name = "URL")]
    #[arg(conflicts_with = "data_dir")]
    nats_url: Option<SecretString>,

    /// Stream of a spread system.
    #[arg(long, env = "NATS_STREAM", default_value = "ticketing", global = true, value_name = "NAME")]
    nats_stream: String,
}

impl Source {
    /// Opens the bus that holds the dead letters.
    pub(super) async fn open(self, data: &Path) -> anyhow::Result<Box<dyn Bus>> {
        let Some(url) = self.nats_url else { return embedded::open(data) };
        let config = NatsConfig::new(url, "ticketing dead-letters", &self.nats_stream);
        Ok(Box::new(NatsBus::connect_to_existing(&config).await?))
    }
}
