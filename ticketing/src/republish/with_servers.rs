//! Where the records and the bus are, in a build that also reaches MongoDB and NATS.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use common::config::secret;
use engines::mongo::MongoStore;
use engines::nats::{NatsBus, NatsConfig};
use secrecy::SecretString;

use super::{Engines, Owner, embedded};

/// The engines of a service of a spread system.
#[derive(Args, Clone, Debug)]
pub(super) struct Source {
    /// Database of the service in a spread system, instead of a data directory.
    #[arg(long, env = "MONGO_URI", hide_env_values = true, value_parser = secret, value_name = "URI")]
    #[arg(conflicts_with = "data_dir", requires = "nats_url")]
    mongo_uri: Option<SecretString>,

    /// Bus of a spread system: nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_parser = secret, value_name = "URL")]
    #[arg(requires = "mongo_uri")]
    nats_url: Option<SecretString>,

    /// Stream of a spread system.
    #[arg(long, env = "NATS_STREAM", default_value = "ticketing", value_name = "NAME")]
    nats_stream: String,
}

impl Source {
    /// Opens the engines of the service that owns the records.
    pub(super) async fn open(self, owner: Owner, data: &Path) -> anyhow::Result<Engines> {
        let (Some(uri), Some(url)) = (self.mongo_uri, self.nats_url) else { return embedded::open(owner, data) };
        let config = NatsConfig::new(url, "ticketing republish", &self.nats_stream);
        Ok(Engines {
            store: Arc::new(MongoStore::connect_to_existing(&uri, owner.name(), owner.schemas()).await?),
            bus: Arc::new(NatsBus::connect_to_existing(&config).await?),
        })
    }
}
