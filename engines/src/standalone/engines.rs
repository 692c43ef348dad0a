//! The combinations of engines that services run on.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Args;
use common::bus::{Bus, BusError};
use common::clock::{Clock, SystemClock};
use common::jobs::DelayedJobs;
use common::session::Sessions;
use common::store::{Database, Schema};

use super::config::{BusConfig, HttpConfig, MONGO, MongoConfig, NATS, RedisConfig};
use super::error::StartError;
use super::retry::retry_until_ready;
use crate::mongo::{ConnectError, MongoStore};
use crate::nats::NatsBus;

/// A combination of engines, as their configuration.
///
/// `open` returns a boxed future so that the drivers' code is compiled once, in this crate, instead of once per binary.
#[async_trait(?Send)]
pub trait Engines: Args {
    /// The parts that the service is built from.
    type Parts;

    /// Opens the engines of a service, waiting for servers that are not ready. `schemas` are the collections of its
    /// database.
    async fn open(self, service: &str, schemas: &[&'static Schema]) -> Result<Opened<Self::Parts>, StartError>;
}

/// Opened engines.
pub struct Opened<P> {
    /// The parts that the service is built from.
    pub parts: P,
    /// The bus, if the service publishes or listens.
    pub bus: Option<Arc<dyn Bus>>,
    /// The port of the HTTP API, if the service has one.
    pub http_port: Option<u16>,
}

/// The parts of a service with an HTTP API and a database.
pub struct MongoParts {
    /// The service's database.
    pub database: Database,
    /// Reads and signs sessions.
    pub sessions: Sessions,
    /// How long the bus keeps events; `None` if all are kept, or if the service has no bus.
    pub event_retention: Option<Duration>,
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

#[async_trait(?Send)]
impl Engines for MongoOnly {
    type Parts = MongoParts;

    async fn open(self, service: &str, schemas: &[&'static Schema]) -> Result<Opened<MongoParts>, StartError> {
        let store = Arc::new(self.mongo.connect(service, schemas).await?);
        Ok(Opened { parts: MongoParts::new(store, &self.http, None), bus: None, http_port: Some(self.http.port) })
    }
}

#[async_trait(?Send)]
impl Engines for MongoAndNats {
    type Parts = MongoParts;

    async fn open(self, service: &str, schemas: &[&'static Schema]) -> Result<Opened<MongoParts>, StartError> {
        let store = Arc::new(self.mongo.connect(service, schemas).await?);
        let bus = Arc::new(self.bus.connect(service, Some(store.identity().to_owned())).await?);
        let stream = identity(&bus).await?;
        retry_until_ready(MONGO, async || store.bind_to_bus(&stream).await, ConnectError::is_transient).await?;
        Ok(Opened {
            parts: MongoParts::new(store, &self.http, bus.retention()),
            bus: Some(bus),
            http_port: Some(self.http.port),
        })
    }
}

#[async_trait(?Send)]
impl Engines for RedisAndNats {
    type Parts = RedisParts;

    async fn open(self, service: &str, _schemas: &[&'static Schema]) -> Result<Opened<RedisParts>, StartError> {
        // Without a database, the durables have no owner.
        let bus = Arc::new(self.bus.connect(service, None).await?);
        let stream = identity(&bus).await?;
        let jobs = Arc::new(self.redis.connect(service, &stream).await?);
        let parts = RedisParts { jobs, bus: bus.clone(), clock: Arc::new(SystemClock) };
        Ok(Opened { parts, bus: Some(bus), http_port: None })
    }
}

impl MongoParts {
    fn new(store: Arc<MongoStore>, http: &HttpConfig, event_retention: Option<Duration>) -> Self {
        let clock = Arc::new(SystemClock);
        let sessions = Sessions::new(&http.jwt_key, clock.clone());
        Self { database: Database::new(store, clock), sessions, event_retention }
    }
}

async fn identity(bus: &NatsBus) -> Result<String, StartError> {
    retry_until_ready(NATS, async || bus.identity().await, BusError::is_transient).await
}
