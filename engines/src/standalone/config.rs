//! The configuration of the engines and of the process.

use clap::Args;
use common::bus::BusError;
use common::config::{RetentionConfig, secret};
use common::jobs::JobsError;
use common::store::Schema;
use secrecy::SecretString;

use super::error::StartError;
use super::retry::retry_until_ready;
use crate::mongo::{ConnectError, MongoStore};
use crate::nats::{NatsBus, NatsConfig};
use crate::redis::RedisJobs;

pub(super) const MONGO: &str = "MongoDB (MONGO_URI)";
pub(super) const NATS: &str = "NATS (NATS_URL)";
const REDIS: &str = "Redis (REDIS_HOST)";

/// The configuration of an HTTP API.
#[derive(Args, Clone, Debug)]
pub(super) struct HttpConfig {
    /// Port of the HTTP API; 0 picks a free one
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub(super) port: u16,

    /// Key that signs sessions, the same for each service
    #[arg(long, env = "JWT_KEY", hide_env_values = true, value_parser = secret, value_name = "SECRET")]
    pub(super) jwt_key: SecretString,
}

/// The configuration of a service's database.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
pub(super) struct MongoConfig {
    /// Database of this service: mongodb://user:password@host:27017/name?tls=true
    #[arg(long, env = "MONGO_URI", hide_env_values = true, value_parser = secret, value_name = "URI")]
    mongo_uri: SecretString,
}

/// The configuration of the bus.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
pub(super) struct BusConfig {
    /// Bus that all services share: nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_parser = secret, value_name = "URL")]
    nats_url: SecretString,

    /// Name of this process on the bus [default: the host name]
    #[arg(long, env = "NATS_CLIENT_ID", value_name = "NAME")]
    nats_client_id: Option<String>,

    /// Stream that all services share; one per NATS account
    #[arg(long, env = "NATS_STREAM", default_value = "ticketing", value_name = "NAME")]
    nats_stream: String,

    /// Copies of each event in a NATS cluster [default: as the stream has, 1 if it is new]
    #[arg(long, env = "NATS_REPLICAS", value_name = "NUMBER")]
    nats_replicas: Option<usize>,

    #[command(flatten)]
    retention: RetentionConfig,
}

/// The configuration of the delayed jobs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
pub(super) struct RedisConfig {
    /// Delayed jobs: host, host:port, or redis://user:password@host:port/database
    #[arg(long, env = "REDIS_HOST", hide_env_values = true, value_parser = secret, value_name = "ADDRESS")]
    redis_host: SecretString,
}

impl MongoConfig {
    pub(super) async fn connect(&self, service: &str, schemas: &[&'static Schema]) -> Result<MongoStore, StartError> {
        let connect = async || MongoStore::connect(&self.mongo_uri, service, schemas).await;
        retry_until_ready(MONGO, connect, ConnectError::is_transient).await
    }
}

impl BusConfig {
    /// Connects for a service whose database has the identity `owner`.
    pub(super) async fn connect(&self, service: &str, owner: Option<String>) -> Result<NatsBus, StartError> {
        let config = NatsConfig {
            url: self.nats_url.clone(),
            client: self.nats_client_id.clone().or_else(host_name).unwrap_or_else(|| service.to_owned()),
            stream: self.nats_stream.clone(),
            replicas: self.nats_replicas,
            retention: self.retention.event_retention(),
            owner,
        };
        retry_until_ready(NATS, async || NatsBus::connect(&config).await, BusError::is_transient).await
    }
}

impl RedisConfig {
    /// Connects for jobs that are made from the events of `stream`.
    pub(super) async fn connect(&self, service: &str, stream: &str) -> Result<RedisJobs, StartError> {
        let connect = async || RedisJobs::connect(&self.redis_host, service, stream).await;
        retry_until_ready(REDIS, connect, JobsError::is_transient).await
    }
}

/// `None` where there is no `/proc`.
fn host_name() -> Option<String> {
    Some(std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned())
}
