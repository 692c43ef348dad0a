//! A service as a process of its own, on MongoDB, NATS JetStream and Redis. The `main` of every service binary.
//!
//! A binary names its service, the service's configuration and the [`Engines`] it runs on:
//!
//! ```no_run
//! use std::process::ExitCode;
//!
//! use common::service::Service;
//! use engines::standalone::{MongoOnly, Standalone};
//!
//! #[tokio::main]
//! async fn main() -> ExitCode {
//!     Standalone { name: "blog", about: "Publishes posts", schemas: &[] }
//!         .run::<(), MongoOnly>(|(), parts| Ok(Service::new("blog").database(parts.database)))
//!         .await
//! }
//! ```

mod config;
mod engines;
mod error;
mod retry;

use std::process::ExitCode;

use clap::{Args, Command, CommandFactory, Parser};
use common::bus::{Bus, BusError};
use common::config::read;
use common::error::{BoxError, chain};
use common::service::{self, Addresses, Exit, ProcessConfig, Service, Signals, install_metrics};
use common::store::Schema;
use common::telemetry::{LogFormat, TelemetryConfig};
use tracing::{error, info};

use config::NATS;
use retry::retry_until_ready;

pub use engines::{Engines, MongoAndNats, MongoOnly, MongoParts, Opened, RedisAndNats, RedisParts};
pub use error::StartError;

/// A service that runs as a process of its own.
#[derive(Clone, Copy, Debug)]
pub struct Standalone {
    /// The service's name.
    pub name: &'static str,
    /// The first line of `--help`.
    pub about: &'static str,
    /// The collections of its database, if it has one.
    pub schemas: &'static [&'static Schema],
}

/// The configuration of a service binary: of the service, its engines, and the process.
#[derive(Parser)]
#[command(version)]
struct Config<C: Args, E: Args> {
    #[command(flatten)]
    service: C,
    #[command(flatten)]
    engines: E,
    #[command(flatten)]
    process: ProcessConfig,
    #[command(flatten)]
    telemetry: TelemetryConfig,
}

impl Standalone {
    /// Reads the configuration, opens the engines, builds the service and runs it until a signal.
    pub async fn run<C: Args, E: Engines>(
        self,
        build: impl FnOnce(C, E::Parts) -> Result<Service, BoxError>,
    ) -> ExitCode {
        self.run_with::<C, E>(|command| command, build).await
    }

    /// Like [`run`](Self::run), but lets the binary change its command line, for example to require a flag.
    pub async fn run_with<C: Args, E: Engines>(
        self,
        adapt: impl FnOnce(Command) -> Command,
        build: impl FnOnce(C, E::Parts) -> Result<Service, BoxError>,
    ) -> ExitCode {
        let command = Config::<C, E>::command().name(self.name).about(self.about);
        let config: Config<C, E> = read(adapt(command));
        let telemetry = config.telemetry.start(LogFormat::Json, self.name);
        install_metrics();
        let result = self.start(config, build).await;
        if let Err(error) = &result {
            error!(error = chain(error), "could not start");
        }
        drop(telemetry);
        result.map_or(ExitCode::FAILURE, |exit| exit.exit())
    }

    async fn start<C: Args, E: Engines>(
        self,
        config: Config<C, E>,
        build: impl FnOnce(C, E::Parts) -> Result<Service, BoxError>,
    ) -> Result<Exit, StartError> {
        let Config { service, engines, process, telemetry: _ } = config;
        let open = async {
            let Opened { parts, bus, http_port } = engines.open(self.name, self.schemas).await?;
            let service = build(service, parts).map_err(StartError::Service)?;
            if let Some(bus) = &bus {
                check_durables(&**bus, &service).await?;
            }
            Ok::<_, StartError>((service, bus, http_port))
        };
        let mut signals = Signals::new().map_err(StartError::Signals)?;
        let (service, bus, http_port) = tokio::select! {
            opened = open => opened?,
            () = signals.next() => return Err(StartError::Interrupted),
        };
        let ready = move |Addresses { http, admin }| {
            info!(service = self.name, http = http.map(tracing::field::display), %admin, "ready");
        };
        Ok(service::run(vec![service], bus, http_port, process, Box::new(ready)).await?)
    }
}

/// Fails if a durable belongs to another system's database, before this service takes events from it.
async fn check_durables(bus: &dyn Bus, service: &Service) -> Result<(), StartError> {
    for listener in &service.listeners {
        let subscribe = async || bus.subscribe(listener.durable()).await;
        retry_until_ready(NATS, subscribe, BusError::is_transient).await?;
    }
    Ok(())
}
