use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::bus::watch_bus;
use super::events::{delete_old_events, watch_lag};
use super::probe::Probe;
use super::tasks::Tasks;
use super::{ProcessConfig, Service, Signals, admin};
use crate::bus::{Bus, Durable};
use crate::error::BoxError;
use crate::http::{serve, with_middleware};
use crate::listener::RegisteredListener;
use crate::outbox::{relay, watch_losses};
use crate::recovery::{RecoveryError, recover};

/// How long requests and events in flight may take after the shutdown delay. Together with [`FLUSH_TIMEOUT`] this stays
/// below the ten seconds within which a process promises to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(7);

/// How long publishing the rest of the outboxes may take after that.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The addresses that a process listens on.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The address of the HTTP API.
    pub http: Option<SocketAddr>,
    /// The address of health checks and metrics.
    pub admin: SocketAddr,
}

/// The error of starting a process.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be opened, most likely because it is taken.
    #[error("could not listen on {address} (set another with HOST or {variable})")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that configures its port.
        variable: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// A check of a service failed.
    #[error("{service} cannot start")]
    Check {
        /// The service.
        service: &'static str,
        /// What is wrong.
        source: BoxError,
    },
    /// The database of a service cannot be compared with its events.
    #[error("could not compare the database of {service} with its events")]
    Recovery {
        /// The service.
        service: &'static str,
        /// The error of the database or the bus.
        source: RecoveryError,
    },
    /// A signal handler cannot be installed.
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything in flight was finished and published.
    Drained,
    /// A second signal or a timeout interrupted that. No completed request is lost; the next start resumes the rest.
    Aborted,
    /// A background task ended, which none should, so the process stopped. It was drained as after a signal.
    Failed,
}

impl Exit {
    /// Exits the process with status 0 or 1.
    ///
    /// Does not shut down the runtime first: that would wait for blocking calls, such as a DNS lookup without a
    /// network. Every completed request is durable by now.
    pub fn exit(self) -> ! {
        std::process::exit(match self {
            Self::Drained => 0,
            Self::Aborted | Self::Failed => 1,
        })
    }
}

/// Runs services in this process until a signal, or until one of their tasks ends. Calls `ready` when it accepts
/// requests. Without an `http_port` it serves no HTTP API; port 0 is any free port.
///
/// Without a bus no events are published and no listeners run.
///
/// Boxed so that it is compiled here, and not again in each binary that awaits it.
///
/// # Errors
///
/// If a port or a signal handler is not available.
pub fn run<'a>(
    mut services: Vec<Service>,
    bus: Option<Arc<dyn Bus>>,
    http_port: Option<u16>,
    config: ProcessConfig,
    ready: Box<dyn FnOnce(Addresses) + Send + 'a>,
) -> BoxFuture<'a, Result<Exit, StartError>> {
    Box::pin(async move {
        let mut signals = Signals::new().map_err(StartError::Signals)?;
        for service in &mut services {
            for check in std::mem::take(&mut service.start_checks) {
                check().await.map_err(|source| StartError::Check { service: service.name, source })?;
            }
            if let (Some(bus), Some(database)) = (&bus, &service.database) {
                let recovered = recover(service.name, database, &**bus, service.records).await;
                service.published =
                    recovered.map_err(|source| StartError::Recovery { service: service.name, source })?;
            }
        }
        let (admin_listener, admin) = listen((config.host, config.admin_port).into(), "ADMIN_PORT").await?;
        let http = match http_port {
            Some(port) => Some(listen((config.host, port).into(), "PORT").await?),
            None => None,
        };
        let addresses = Addresses { http: http.as_ref().map(|(_, address)| *address), admin };

        let mut process = Process::default();
        let (routes, probes) = process.start(services, bus);
        // Health checks and metrics respond even while the process drains.
        tokio::spawn(admin::merge_metrics());
        let admin_routes = admin::routes(probes, process.stopping.clone());
        tokio::spawn(serve(admin_listener, admin_routes, CancellationToken::new()));
        if let Some((listener, _)) = http {
            process.tasks.spawn("HTTP server".into(), serve(listener, with_middleware(routes), process.drain.clone()));
        }
        ready(addresses);

        let failed = tokio::select! {
            () = signals.next() => false,
            () = process.tasks.first_end() => true,
            () = process.relays.first_end() => true,
        };
        let drained = tokio::select! {
            drained = process.stop(config.shutdown_delay()) => drained,
            () = signals.next() => false,
        };
        Ok(match (drained, failed) {
            (false, _) => {
                warn!("stopped with work in flight, the next start resumes it");
                Exit::Aborted
            }
            (true, true) => {
                error!("stopped because a background task has ended");
                Exit::Failed
            }
            (true, false) => {
                info!("stopped");
                Exit::Drained
            }
        })
    })
}

/// The running tasks of a process.
#[derive(Default)]
struct Process {
    stopping: CancellationToken,
    drain: CancellationToken,
    flush: CancellationToken,
    tasks: Tasks,
    relays: Tasks,
}

impl Process {
    /// Starts the listeners, workers and relays of the services. Returns their routes and readiness probes.
    fn start(&mut self, services: Vec<Service>, bus: Option<Arc<dyn Bus>>) -> (Router, Vec<(String, Probe)>) {
        let mut routes = Router::new();
        let mut probes = Vec::new();
        if let Some(bus) = &bus {
            tokio::spawn(watch_bus(bus.clone()));
            let listeners = services.iter().flat_map(|service| &service.listeners);
            let durables: Vec<Durable> = listeners.map(RegisteredListener::durable).collect();
            let lag = watch_lag(bus.clone(), durables.clone(), self.drain.clone());
            self.tasks.spawn("watch over the lag of listeners".into(), lag);
            let deletion = delete_old_events(bus.clone(), durables, self.drain.clone());
            self.tasks.spawn("deletion of old events".into(), deletion);
        }
        for service in services {
            routes = routes.merge(service.routes);
            probes.extend(service.probes);
            if let Some(bus) = &bus {
                for listener in service.listeners {
                    let name = format!("listener {}", listener.durable().name);
                    self.tasks.spawn(name, listener.run(bus.clone(), self.drain.clone()));
                }
                if let Some(database) = service.database {
                    if let Some(records) = service.records {
                        let (database, published, stop) =
                            (database.clone(), service.published.clone(), self.drain.clone());
                        let watch = watch_losses(service.name, database, bus.clone(), records, published, stop);
                        self.tasks.spawn(format!("watch over lost events of {}", service.name), watch);
                    }
                    let relay = relay(service.name, database, bus.clone(), service.published, self.flush.clone());
                    self.relays.spawn(format!("relay of {}", service.name), relay);
                }
            }
            for worker in service.workers {
                self.tasks.spawn(format!("worker of {}", service.name), worker(self.drain.clone()));
            }
        }
        (routes, probes)
    }

    /// Reports that the process is not ready, and serves until proxies have noticed. Then finishes work in flight, and
    /// publishes what is left in the outboxes. Returns whether both ended in time.
    async fn stop(&mut self, delay: Duration) -> bool {
        info!(?delay, "stopping, send a second signal to abort");
        self.stopping.cancel();
        tokio::time::sleep(delay).await;
        info!("draining");
        self.drain.cancel();
        let drained = self.tasks.end(DRAIN_TIMEOUT).await;
        self.flush.cancel();
        self.relays.end(FLUSH_TIMEOUT).await && drained
    }
}

async fn listen(address: SocketAddr, variable: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { address, variable, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
