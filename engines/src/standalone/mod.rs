//! A service as a process of its own, on MongoDB, NATS JetStream and Redis: everything the service binaries share.
//!
//! A binary names its service, its own configuration and the [`Engines`] it needs:
//!
//! ```ignore
//! Standalone { name: "orders", about: "…", schemas: orders::SCHEMAS }
//!     .run::<OrdersConfig, MongoAndNats>(|config, parts| Ok(orders::service(&parts.database, parts.sessions, &config)))
//! ```

mod engines;

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};
use clap::{Args, Command, CommandFactory, Parser};
use common::bus::{Bus, BusError};
use common::config::{LogConfig, LogFormat, read};
use common::error::{BoxError, chain};
use common::service::{self, Addresses, Exit, Ports, Service, Signals, install_metrics};
use common::store::Schema;
use tracing::{error, info, warn};

pub use engines::{BusConfig, Engines, MongoAndNats, MongoOnly, MongoParts, Opened, RedisAndNats, RedisParts};

/// How often and how long to retry a server that does not respond at start: for about a minute.
const RETRY_PAUSE: Duration = Duration::from_secs(3);
const MAX_RETRIES: usize = 19;

/// A service that runs as a process of its own.
#[derive(Clone, Copy, Debug)]
pub struct Standalone {
    /// The service's name.
    pub name: &'static str,
    /// The first line of `--help`.
    pub about: &'static str,
    /// The collections of its database; empty without one.
    pub schemas: &'static [&'static Schema],
}

/// The configuration of a service binary: the service's own, that of its engines, and that of every process.
#[derive(Parser)]
#[command(version)]
struct Config<C: Args, E: Args> {
    #[command(flatten)]
    service: C,
    #[command(flatten)]
    engines: E,
    #[command(flatten)]
    process: ProcessConfig,
}

/// The configuration of every process.
#[derive(Args, Clone, Debug)]
struct ProcessConfig {
    /// Port of /healthz/live, /healthz/ready and /metrics; 0 lets the system choose.
    #[arg(long, env = "ADMIN_PORT", default_value_t = 9090)]
    admin_port: u16,

    #[command(flatten)]
    log: LogConfig,
}

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A server does not respond, or does not accept us.
    #[error("{server}")]
    Server {
        /// The server, and the variable that names it.
        server: &'static str,
        /// What it says.
        source: BoxError,
    },
    /// A signal arrived before the service was ready.
    #[error("stopped by a signal while starting")]
    Interrupted,
    /// Signals cannot be handled.
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
    /// The service rejects its configuration.
    #[error("could not set up the service")]
    Service(#[source] BoxError),
    /// A port is taken.
    #[error(transparent)]
    Run(#[from] service::StartError),
}

impl Standalone {
    /// The body of `main`: reads the configuration, opens the engines, builds the service and runs it until a signal.
    pub async fn run<C: Args, E: Engines>(
        self,
        build: impl FnOnce(C, E::Parts) -> Result<Service, BoxError>,
    ) -> ExitCode {
        self.run_with::<C, E>(|command| command, build).await
    }

    /// Like [`run`](Self::run), with changes to the command line, such as a flag that only this binary requires.
    pub async fn run_with<C: Args, E: Engines>(
        self,
        adapt: impl FnOnce(Command) -> Command,
        build: impl FnOnce(C, E::Parts) -> Result<Service, BoxError>,
    ) -> ExitCode {
        let command = Config::<C, E>::command().name(self.name).about(self.about);
        let config: Config<C, E> = read(adapt(command));
        config.process.log.init(LogFormat::Json);
        install_metrics();
        match self.start(config, build).await {
            Ok(exit) => exit.exit(),
            Err(error) => {
                error!(error = chain(&error), "could not start");
                ExitCode::FAILURE
            }
        }
    }

    async fn start<C: Args, E: Engines>(
        self,
        config: Config<C, E>,
        build: impl FnOnce(C, E::Parts) -> Result<Service, BoxError>,
    ) -> Result<Exit, StartError> {
        let Config { service, engines, process } = config;
        let open = async {
            let Opened { parts, bus, http_port } = engines.open(&self).await?;
            let service = build(service, parts).map_err(StartError::Service)?;
            if let Some(bus) = &bus {
                check_durables(&**bus, &service).await?;
            }
            Ok::<_, StartError>((service, bus, http_port))
        };
        let mut signals = Signals::new().map_err(StartError::Signals)?;
        let (service, bus, http) = tokio::select! {
            opened = open => opened?,
            () = signals.next() => return Err(StartError::Interrupted),
        };
        let ready = |Addresses { http, admin }| {
            info!(service = self.name, http = http.map(tracing::field::display), %admin, "ready");
        };
        let ports = Ports { http, admin: process.admin_port };
        Ok(service::run(vec![service], bus, ports, ready).await?)
    }
}

/// Fails if a durable belongs to another system's database, rather than taking its events away.
async fn check_durables(bus: &dyn Bus, service: &Service) -> Result<(), StartError> {
    for listener in &service.listeners {
        let subscribe = async || bus.subscribe(listener.durable()).await;
        retry_until_ready(engines::NATS, subscribe, BusError::is_transient).await?;
    }
    Ok(())
}

/// Connects to a server; while the error is transient, logs it and tries again for about a minute.
async fn retry_until_ready<T, E: std::error::Error + Send + Sync + 'static>(
    server: &'static str,
    connect: impl AsyncFn() -> Result<T, E>,
    is_transient: impl Fn(&E) -> bool,
) -> Result<T, StartError> {
    let pauses = ConstantBuilder::default().with_delay(RETRY_PAUSE).with_max_times(MAX_RETRIES);
    let warn = |error: &E, pause| warn!(server, error = chain(error), ?pause, "server not ready, will retry");
    let connected = (|| connect()).retry(pauses).when(is_transient).notify(warn).await;
    connected.map_err(|error| StartError::Server { server, source: error.into() })
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_transient_error_is_retried_for_a_minute_and_any_other_fails_at_once() {
        for (transient, least, most) in [(true, 55, 60), (false, 0, 0)] {
            let started = Instant::now();
            let refused = async || Err::<(), _>(io::Error::from(ErrorKind::ConnectionRefused));
            let error = retry_until_ready("Redis (REDIS_HOST)", refused, |_| transient).await.unwrap_err();
            assert_eq!(chain(&error), "Redis (REDIS_HOST): connection refused");
            assert!((least..=most).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
        }
    }
}
