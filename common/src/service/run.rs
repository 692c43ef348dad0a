use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::{Probe, Service, Signals, admin, boxed};
use crate::bus::Bus;
use crate::http::{serve, with_middleware};
use crate::outbox::relay;

/// How long requests and events in flight may take to end after a signal, and then the outboxes. Together less than the
/// ten seconds that we promise.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(7);
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// The ports that a process listens on.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// Port of the API; 0 lets the operating system choose. `None` for a service without one.
    pub http: Option<u16>,
    /// Port of health checks and metrics; 0 lets the operating system choose.
    pub admin: u16,
}

/// The addresses that a process listens on.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// Address of the API.
    pub http: Option<SocketAddr>,
    /// Address of health checks and metrics.
    pub admin: SocketAddr,
}

/// Why a process could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The port is most likely taken.
    #[error("could not listen on port {port} ({variable})")]
    Listen {
        /// The port.
        port: u16,
        /// The variable that configures it.
        variable: &'static str,
        /// The operating system's error.
        source: io::Error,
    },
    /// The operating system refused to install a signal handler.
    #[error("could not listen for signals")]
    Signals(#[source] io::Error),
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything in flight was finished.
    Drained,
    /// A second signal or the deadline cut it short. No answered request is lost: the next start resumes the rest.
    Aborted,
}

impl Exit {
    /// Exits the process with status 0 or 1.
    ///
    /// Does not shut the runtime down first: that would wait for blocking calls, such as a DNS lookup in a dead network.
    /// Everything that was answered is durable.
    pub fn exit(self) -> ! {
        std::process::exit(match self {
            Self::Drained => 0,
            Self::Aborted => 1,
        })
    }
}

/// Runs services in this process until a signal. Calls `ready` once requests are accepted.
///
/// Without a bus nothing is published and no listener runs.
///
/// # Errors
///
/// If a port is taken or signals cannot be handled.
pub async fn run(
    services: Vec<Service>,
    bus: Option<Arc<dyn Bus>>,
    ports: Ports,
    ready: impl FnOnce(Addresses),
) -> Result<Exit, StartError> {
    let mut signals = Signals::new().map_err(StartError::Signals)?;
    let (admin_listener, admin) = listen(ports.admin, "ADMIN_PORT").await?;
    let http = match ports.http {
        Some(port) => Some(listen(port, "PORT").await?),
        None => None,
    };
    let addresses = Addresses { http: http.as_ref().map(|(_, address)| *address), admin };

    let process = Process::default();
    let (routes, probes) = process.start(services, bus);
    // Health checks and metrics respond until the process exits.
    tokio::spawn(admin::keep_metrics_small());
    tokio::spawn(serve(admin_listener, admin::routes(probes, process.stop.clone()), CancellationToken::new()));
    if let Some((listener, _)) = http {
        process.tasks.spawn(serve(listener, with_middleware(routes), process.stop.clone()));
    }
    ready(addresses);

    signals.next().await;
    info!("stopping, a second signal aborts");
    let drained = tokio::select! {
        drained = process.drain() => drained,
        () = signals.next() => false,
    };
    if drained {
        info!("stopped");
        Ok(Exit::Drained)
    } else {
        warn!("stopped before everything was finished, the next start resumes it");
        Ok(Exit::Aborted)
    }
}

/// The running tasks of a process.
#[derive(Default)]
struct Process {
    stop: CancellationToken,
    flush: CancellationToken,
    tasks: TaskTracker,
    relays: TaskTracker,
}

impl Process {
    /// Starts the listeners, workers and relays of the services. Returns their routes and readiness probes.
    fn start(&self, services: Vec<Service>, bus: Option<Arc<dyn Bus>>) -> (Router, Vec<(String, Probe)>) {
        let mut routes = Router::new();
        let mut probes = Vec::new();
        if let Some(bus) = bus.clone() {
            let ping = boxed(move || {
                let bus = bus.clone();
                async move { bus.ping().await }
            });
            probes.push(("bus".to_owned(), ping));
        }
        for service in services {
            routes = routes.merge(service.routes);
            probes.extend(service.probes);
            if let Some(bus) = &bus {
                for listener in service.listeners {
                    self.tasks.spawn(listener.run(bus.clone(), self.stop.clone()));
                }
                if let Some(database) = service.database {
                    self.relays.spawn(relay(service.name, database, bus.clone(), self.flush.clone()));
                }
            }
            for worker in service.workers {
                self.tasks.spawn(worker(self.stop.clone()));
            }
        }
        (routes, probes)
    }

    /// Finishes what is in flight, then publishes what is left in the outboxes. Returns whether both ended in time.
    async fn drain(&self) -> bool {
        self.stop.cancel();
        let drained = ended(&self.tasks, DRAIN_TIMEOUT).await;
        self.flush.cancel();
        ended(&self.relays, FLUSH_TIMEOUT).await && drained
    }
}

async fn ended(tasks: &TaskTracker, limit: Duration) -> bool {
    tasks.close();
    tokio::time::timeout(limit, tasks.wait()).await.is_ok()
}

async fn listen(port: u16, variable: &'static str) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source| StartError::Listen { port, variable, source };
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}
