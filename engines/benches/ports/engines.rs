//! The engines under test, all empty.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use common::bus::Bus;
use common::jobs::DelayedJobs;
use common::store::Store;
use engines::mongo::MongoStore;
use engines::nats::{NatsBus, NatsConfig};
use engines::redis::RedisJobs;
use engines::sqlite::{SqliteBus, SqliteJobs, SqliteStore};
use tempfile::TempDir;
use testing::servers::{self, Server};

use crate::store::SCHEMAS;

pub(crate) const SQLITE: &str = "SQLite";
pub(crate) const NATS: &str = "NATS";

type Engine<P> = (&'static str, Arc<P>);

/// The engines available on this machine, by port.
pub(crate) struct Engines {
    pub(crate) stores: Vec<Engine<dyn Store>>,
    pub(crate) buses: Vec<Engine<dyn Bus>>,
    pub(crate) jobs: Vec<Engine<dyn DelayedJobs>>,
    pub(crate) nats_url: Option<String>,
    _servers: Vec<Server>,
    _directory: TempDir,
}

impl Engines {
    pub(crate) async fn start() -> Result<Self> {
        let directory = TempDir::new().context("could not create a temporary directory")?;
        let file = |name| directory.path().join(name);
        let store = Arc::new(SqliteStore::open(&file("store.db"), SCHEMAS)?);
        let bus = Arc::new(SqliteBus::open(&file("bus.db"))?);
        let jobs = Arc::new(SqliteJobs::open(&file("jobs.db"))?);
        let embedded = Self {
            stores: vec![(SQLITE, store)],
            buses: vec![(SQLITE, bus)],
            jobs: vec![(SQLITE, jobs)],
            nats_url: None,
            _servers: Vec::new(),
            _directory: directory,
        };
        embedded.with_servers().await
    }

    async fn with_servers(mut self) -> Result<Self> {
        let program = servers::mongo();
        let name = if program.name == "mongod" { "MongoDB" } else { "MongoDB stand-in, not comparable" };
        if let Some(server) = Server::start(program).await {
            let uri = format!("mongodb://127.0.0.1:{}", server.port()).into();
            self.stores.push((name, Arc::new(MongoStore::connect(&uri, "bench", SCHEMAS).await?)));
            self._servers.push(server);
        }
        if let Some(server) = Server::start(servers::NATS).await {
            let url = format!("nats://127.0.0.1:{}", server.port());
            let config = NatsConfig::new(url.as_str().into(), "bench", "ticketing");
            self.buses.push((NATS, Arc::new(NatsBus::connect(&config).await?)));
            self.nats_url = Some(url);
            self._servers.push(server);
        }
        if let Some(server) = Server::start(servers::REDIS).await {
            let address = format!("127.0.0.1:{}", server.port()).into();
            self.jobs
                .push(("Redis, published on NATS", Arc::new(RedisJobs::connect(&address, "bench", "bench").await?)));
            self._servers.push(server);
        }
        Ok(self)
    }
}
