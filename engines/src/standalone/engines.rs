//! The combinations of engines that services run on, and their configuration.

use std::sync::Arc;

use clap::Args;
use common::bus::{Bus, BusError};
use common::clock::{Clock, SystemClock};
use common::config::secret;
use common::jobs::{DelayedJobs, JobsError};
use common::session::Sessions;
use common::store::Database;
use secrecy::SecretString;

use super::{Standalone, StartError, retry_until_ready};
use crate::mongo::{ConnectError, MongoStore};
use crate::nats::{NatsBus, NatsConfig};
use crate::redis::RedisJobs;

const MONGO: &str = "MongoDB (MONGO_URI)";
pub(super) const NATS: &str = "NATS (NATS_URL)";
const REDIS: &str = "Redis (REDIS_HOST)";

/// The engines of a service, as their configuration.
pub trait Engines: Args {
    /// What the service is built from.
    type Parts;

    /// Opens the engines once their servers respond.
    fn open(self, service: &Standalone) -> impl Future<Output = Result<Opened<Self::Parts>, StartError>>;
}

/// Engines that have been opened.
pub struct Opened<P> {
    /// What the service is built from.
    pub parts: P,
    /// The bus, if the service publishes or listens.
    pub bus: Option<Arc<dyn Bus>>,
    /// The port of the HTTP API, if it has one.
    pub http_port: Option<u16>,
}

/// The parts of a service with an HTTP API and a database.
pub struct MongoParts {
    /// The service's database.
    pub database: Database,
    /// The sessions of its users.
    pub sessions: Sessions,
}

/// The parts of a service with delayed jobs.
pub struct RedisParts {
    /// The delayed jobs.
    pub jobs: Arc<dyn DelayedJobs>,
    /// The bus.
    pub bus: Arc<dyn Bus>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

/// An HTTP API on a MongoDB database, without events.
#[derive(Args, Clone, Debug)]
pub struct MongoOnly {
    #[command(flatten)]
    http: HttpConfig,
    #[command(flatten)]
    mongo: MongoConfig,
}

/// An HTTP API on a MongoDB database, with events on NATS.
#[derive(Args, Clone, Debug)]
pub struct MongoAndNats {
    #[command(flatten)]
    http: HttpConfig,
    #[command(flatten)]
    mongo: MongoConfig,
    #[command(flatten)]
    bus: BusConfig,
}

/// Delayed jobs on Redis, with events on NATS.
#[derive(Args, Clone, Debug)]
pub struct RedisAndNats {
    #[command(flatten)]
    redis: RedisConfig,
    #[command(flatten)]
    bus: BusConfig,
}

#[derive(Args, Clone, Debug)]
struct HttpConfig {
    /// Port of the HTTP API; 0 lets the system choose.
    #[arg(long, env = "PORT", default_value_t = 3000)]
    port: u16,

    /// Key that signs sessions; the same for every service.
    #[arg(long, env = "JWT_KEY", hide_env_values = true, value_parser = secret, value_name = "SECRET")]
    jwt_key: SecretString,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
struct MongoConfig {
    /// The service's own database: mongodb://user:password@host:27017/name?tls=true
    #[arg(long, env = "MONGO_URI", hide_env_values = true, value_parser = secret, value_name = "URI")]
    mongo_uri: SecretString,
}

/// The configuration of the bus that all services share.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
pub struct BusConfig {
    /// The bus that all services share: nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_parser = secret, value_name = "URL")]
    nats_url: SecretString,

    /// Name of this process on the bus [default: the host's name].
    #[arg(long, env = "NATS_CLIENT_ID", value_name = "NAME")]
    nats_client_id: Option<String>,

    /// The stream that all services of this system share.
    #[arg(long, env = "NATS_STREAM", default_value = "ticketing", value_name = "NAME")]
    nats_stream: String,

    /// Servers of a NATS cluster that keep a copy of each event [default: as the stream has, 1 for a new one].
    #[arg(long, env = "NATS_REPLICAS", value_name = "NUMBER")]
    nats_replicas: Option<usize>,
}

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
struct RedisConfig {
    /// host, host:port, or redis://user:password@host:port/database
    #[arg(long, env = "REDIS_HOST", hide_env_values = true, value_parser = secret, value_name = "ADDRESS")]
    redis_host: SecretString,
}

impl Engines for MongoOnly {
    type Parts = MongoParts;

    async fn open(self, service: &Standalone) -> Result<Opened<MongoParts>, StartError> {
        let store = Arc::new(self.mongo.open(service).await?);
        Ok(Opened { parts: MongoParts::new(store, &self.http), bus: None, http_port: Some(self.http.port) })
    }
}

impl Engines for MongoAndNats {
    type Parts = MongoParts;

    async fn open(self, service: &Standalone) -> Result<Opened<MongoParts>, StartError> {
        let store = Arc::new(self.mongo.open(service).await?);
        let bus = self.bus.open(Some(store.identity().to_owned())).await?;
        let stream = identity(&bus).await?;
        retry_until_ready(MONGO, async || store.bind_to_bus(&stream).await, ConnectError::is_transient).await?;
        Ok(Opened { parts: MongoParts::new(store, &self.http), bus: Some(bus), http_port: Some(self.http.port) })
    }
}

impl Engines for RedisAndNats {
    type Parts = RedisParts;

    async fn open(self, service: &Standalone) -> Result<Opened<RedisParts>, StartError> {
        let bus = self.bus.open(None).await?;
        let stream = identity(&bus).await?;
        let connect = async || RedisJobs::connect(&self.redis.redis_host, service.name, &stream).await;
        let jobs = Arc::new(retry_until_ready(REDIS, connect, JobsError::is_transient).await?);
        let parts = RedisParts { jobs, bus: bus.clone(), clock: Arc::new(SystemClock) };
        Ok(Opened { parts, bus: Some(bus), http_port: None })
    }
}

impl MongoParts {
    fn new(store: Arc<MongoStore>, http: &HttpConfig) -> Self {
        let clock = Arc::new(SystemClock);
        Self { database: Database::new(store, clock.clone()), sessions: Sessions::new(&http.jwt_key, clock) }
    }
}

impl MongoConfig {
    async fn open(&self, service: &Standalone) -> Result<MongoStore, StartError> {
        let connect = async || MongoStore::connect(&self.mongo_uri, service.name, service.schemas).await;
        retry_until_ready(MONGO, connect, ConnectError::is_transient).await
    }
}

impl BusConfig {
    /// Connects to the bus. `owner` is the identity of the service's database: durables of another are refused.
    async fn open(&self, owner: Option<String>) -> Result<Arc<NatsBus>, StartError> {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let config = NatsConfig {
            url: self.nats_url.clone(),
            client: self.nats_client_id.clone().unwrap_or_else(host),
            stream: self.nats_stream.clone(),
            replicas: self.nats_replicas,
            owner,
        };
        let bus = retry_until_ready(NATS, async || NatsBus::connect(&config).await, BusError::is_transient).await?;
        Ok(Arc::new(bus))
    }
}

async fn identity(bus: &NatsBus) -> Result<String, StartError> {
    retry_until_ready(NATS, async || bus.identity().await, BusError::is_transient).await
}
