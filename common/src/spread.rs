//! One service by itself, on MongoDB, NATS JetStream and Redis: what the binaries of the services share.

use std::fmt::Display;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use secrecy::SecretString;
use tokio::time::{Instant, sleep};
use tracing::{error, info, warn};

use crate::bus::nats::{NatsBus, NatsConfig};
use crate::bus::{Bus, BusError};
use crate::clock::{Clock, SystemClock};
use crate::config::{LogConfig, LogFormat, secret};
use crate::jobs::redis::RedisJobs;
use crate::jobs::{DelayedJobs, JobsError};
use crate::service::{Ports, Service, Signals, install_metrics, run};
use crate::session::Sessions;
use crate::store::mongo::{ConnectError, MongoStore};
use crate::store::{Database, Schema};

/// How long a dependency may take to answer at the start, and how often it is asked.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_secs(3);

/// What a service that waits says that it waits for.
const MONGO: &str = "MongoDB (MONGO_URI)";
const NATS: &str = "NATS (NATS_URL)";

/// What every service's process is told.
#[derive(Args, Clone, Debug)]
pub struct ProcessConfig {
    /// Port of /healthz/live, /healthz/ready and /metrics; 0 lets the system choose.
    #[arg(long, env = "ADMIN_PORT", default_value_t = 9090)]
    pub admin_port: u16,

    #[command(flatten)]
    log: LogConfig,
}

/// Where a service with an HTTP API answers, and by which key it knows its users.
#[derive(Args, Clone, Debug)]
struct HttpConfig {
    /// Port of the HTTP API; 0 lets the system choose.
    #[arg(long, env = "PORT", default_value_t = 3000)]
    port: u16,

    /// Key that signs sessions; the same for every service.
    #[arg(long, env = "JWT_KEY", hide_env_values = true, value_parser = secret, value_name = "SECRET")]
    jwt_key: SecretString,
}

/// Where a service's database is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
struct MongoConfig {
    /// The service's own database: mongodb://user:password@host:27017/name?tls=true
    #[arg(long, env = "MONGO_URI", hide_env_values = true, value_parser = secret, value_name = "URI")]
    mongo_uri: SecretString,
}

/// Where the bus is.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
pub struct BusConfig {
    /// The bus that all services share: nats://user:password@host:4222
    #[arg(long, env = "NATS_URL", hide_env_values = true, value_parser = secret, value_name = "URL")]
    nats_url: SecretString,

    /// What the bus calls this process; the host's name by default.
    #[arg(long, env = "NATS_CLIENT_ID", value_name = "NAME")]
    nats_client_id: Option<String>,

    /// The stream that all services of this system share.
    #[arg(long, env = "NATS_STREAM", default_value = "ticketing", value_name = "NAME")]
    nats_stream: String,

    /// Servers of a NATS cluster that keep a copy of each event; left as it is by default, and 1 at first.
    #[arg(long, env = "NATS_REPLICAS", value_name = "NUMBER")]
    nats_replicas: Option<usize>,
}

/// What every service with an HTTP API and a database is told.
#[derive(Args, Clone, Debug)]
pub struct ServiceConfig {
    #[command(flatten)]
    http: HttpConfig,

    #[command(flatten)]
    mongo: MongoConfig,

    #[command(flatten)]
    process: ProcessConfig,
}

/// Where the delayed jobs are.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Engines")]
pub struct RedisConfig {
    /// host, host:port, or redis://user:password@host:port/database
    #[arg(long, env = "REDIS_HOST", hide_env_values = true, value_parser = secret, value_name = "ADDRESS")]
    redis_host: SecretString,
}

/// What a process runs: a service, and the bus if it has to do with events.
pub struct Alone {
    /// The service.
    pub service: Service,
    /// What it publishes to and listens on.
    pub bus: Option<Arc<dyn Bus>>,
    /// Where it answers, if it has an HTTP API.
    pub port: Option<u16>,
}

impl Alone {
    /// Fails for a durable that belongs to another system's database, rather than take its events from it.
    async fn check_durables(&self) -> Result<(), NotStarted> {
        let Some(bus) = &self.bus else { return Ok(()) };
        for listener in &self.service.listeners {
            patiently(NATS, async || bus.subscribe(listener.durable()).await, BusError::heals).await?;
        }
        Ok(())
    }
}

/// Why a process did not start; to be told to whoever started it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotStarted(String);

impl NotStarted {
    /// Because of this, which waiting does not heal.
    pub fn because(why: impl Display) -> Self {
        Self(why.to_string())
    }
}

/// The body of a service's `main`: logs, opens what the service stands on, runs it until a signal.
pub async fn main(config: &ProcessConfig, open: impl AsyncFnOnce() -> Result<Alone, NotStarted>) -> ExitCode {
    config.log.init(LogFormat::Json);
    install_metrics();
    let opened = async {
        let alone = open().await?;
        alone.check_durables().await?;
        Ok::<_, NotStarted>(alone)
    };
    let opened = async {
        let mut signals = Signals::new().map_err(NotStarted::because)?;
        tokio::select! {
            opened = opened => opened,
            () = signals.next() => Err(NotStarted("it was told to stop".into())),
        }
    };
    let Alone { service, bus, port } = match opened.await {
        Ok(alone) => alone,
        Err(error) => {
            error!(%error, "could not start");
            return ExitCode::FAILURE;
        }
    };
    let name = service.name;
    let ports = Ports { http: port, admin: config.admin_port };
    let ready = |addresses: crate::service::Addresses| {
        info!(service = name, http = addresses.http.map(tracing::field::display), admin = %addresses.admin, "ready");
    };
    match run(vec![service], bus, ports, ready).await {
        Ok(ended) => ended.exit(),
        Err(error) => {
            error!(%error, "could not start");
            ExitCode::FAILURE
        }
    }
}

impl ServiceConfig {
    /// The body of `main` of a service with an HTTP API and a database, and with a bus if it has to do with events.
    pub async fn run(
        self,
        name: &'static str,
        schemas: &[&'static Schema],
        bus: Option<BusConfig>,
        build: impl FnOnce(&Database, Sessions) -> Result<Service, NotStarted>,
    ) -> ExitCode {
        let Self { http, mongo, process } = self;
        let open = async || {
            let store = Arc::new(mongo.open(name, schemas).await?);
            let service = build(&Database::new(store.clone(), clock()), Sessions::new(&http.jwt_key, clock()))?;
            let mut alone = Alone { service, bus: None, port: Some(http.port) };
            if let Some(bus) = bus {
                let bus = bus.open(Some(store.identity().to_owned())).await?;
                let identity = identity(&bus).await?;
                patiently(MONGO, async || store.publishes_to(&identity).await, ConnectError::heals).await?;
                alone.bus = Some(bus);
            }
            Ok(alone)
        };
        main(&process, open).await
    }
}

/// The clock of every process.
pub fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

impl MongoConfig {
    /// Opens the database of a service, once its server answers.
    async fn open(&self, service: &'static str, schemas: &[&'static Schema]) -> Result<MongoStore, NotStarted> {
        let connect = async || MongoStore::connect(&self.mongo_uri, service, schemas).await;
        patiently(MONGO, connect, ConnectError::heals).await
    }
}

impl BusConfig {
    /// Connects to the bus, once its server answers. `owner` is the identity of the service's database: what another
    /// database has begun to listen to is not taken from it.
    pub async fn open(&self, owner: Option<String>) -> Result<Arc<NatsBus>, NotStarted> {
        let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let config = NatsConfig {
            url: self.nats_url.clone(),
            client: self.nats_client_id.clone().unwrap_or_else(host),
            stream: self.nats_stream.clone(),
            replicas: self.nats_replicas,
            owner,
        };
        let bus = patiently(NATS, async || NatsBus::connect(&config).await, BusError::heals).await?;
        Ok(Arc::new(bus))
    }
}

impl RedisConfig {
    /// Connects to the delayed jobs that a service makes from the events on this bus, once their server answers.
    pub async fn open(&self, service: &'static str, bus: &NatsBus) -> Result<Arc<dyn DelayedJobs>, NotStarted> {
        let owner = identity(bus).await?;
        let connect = async || RedisJobs::connect(&self.redis_host, service, &owner).await;
        let jobs = patiently("Redis (REDIS_HOST)", connect, JobsError::heals).await?;
        Ok(Arc::new(jobs))
    }
}

async fn identity(bus: &NatsBus) -> Result<String, NotStarted> {
    patiently(NATS, async || bus.identity().await, BusError::heals).await
}

/// Tries until a dependency answers, and says so each time; gives up after a while, and at once on what waiting does
/// not heal.
async fn patiently<T, E: Display>(
    what: &str,
    connect: impl AsyncFn() -> Result<T, E>,
    heals: impl Fn(&E) -> bool,
) -> Result<T, NotStarted> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match connect().await {
            Ok(connected) => return Ok(connected),
            Err(error) if heals(&error) && Instant::now() + PAUSE < deadline => {
                warn!(%error, "waiting for {what}; asking again in {PAUSE:?}");
                sleep(PAUSE).await;
            }
            Err(error) => return Err(NotStarted(format!("{what}: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_waits_in_vain_gives_up_after_a_minute_and_at_once_where_waiting_does_not_help() {
        for (heals, least, most) in [(true, 55, 60), (false, 0, 0)] {
            let began = Instant::now();
            let refused = async || Err::<(), _>("refused");
            let Err(NotStarted(why)) = patiently("Redis (REDIS_HOST)", refused, |_| heals).await else {
                panic!("it connected to nothing");
            };
            assert_eq!(why, "Redis (REDIS_HOST): refused");
            assert!((least..=most).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        }
    }
}
