//! Starting and stopping, the same for every program: one service by itself, or all of them in one process.
//!
//! A [`Service`] says what it is made of; [`run`] brings it up, keeps it going until a signal, and takes it down in
//! this order: no new requests and events, then those begun, then what is left in the outboxes.

mod admin;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::bus::{Bus, Listeners, RegisteredListener};
use crate::http::{serve, with_middleware};
use crate::outbox::relay;
use crate::store::Database;

pub use admin::install_metrics;

/// How long requests and events that have begun may take to end after a signal, and then the outboxes: together
/// below the ten seconds that are promised.
const DRAIN: Duration = Duration::from_secs(7);
const FLUSH: Duration = Duration::from_secs(2);

pub(crate) type Worker = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;
type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What a service is made of.
pub struct Service {
    /// Its name: `orders`.
    pub name: &'static str,
    /// Its HTTP routes, `/api/…`.
    pub routes: Router,
    /// What it does when events arrive.
    pub listeners: Vec<RegisteredListener>,
    database: Option<Database>,
    pub(crate) workers: Vec<Worker>,
    probes: Vec<(String, Probe)>,
}

impl Service {
    /// A service that does nothing yet.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            routes: Router::new(),
            listeners: Vec::new(),
            database: None,
            workers: Vec::new(),
            probes: Vec::new(),
        }
    }

    /// Answers these routes.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = routes;
        self
    }

    /// Listens to events.
    pub fn listeners<S>(mut self, listeners: Listeners<S>) -> Self {
        self.listeners = listeners.into_registered();
        self
    }

    /// Publishes what is in this database's outbox, and is ready only while the database answers.
    pub fn database(mut self, database: Database) -> Self {
        self.database = Some(database.clone());
        self.probe("database", move || {
            let store = database.store().clone();
            async move { store.ping().await }
        })
    }

    /// Runs a task until it is told to stop.
    pub fn worker<F>(mut self, worker: impl FnOnce(CancellationToken) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(Box::new(|stop| Box::pin(worker(stop))));
        self
    }

    /// Is ready only while `probe` succeeds.
    pub fn probe<F, E>(mut self, what: &str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display,
    {
        let probe: Probe = Arc::new(move || {
            let answer = probe();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        });
        self.probes.push((format!("{} {what}", self.name), probe));
        self
    }
}

/// Where a program listens.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    /// The API's; 0 lets the operating system choose. `None` for a service without one.
    pub http: Option<u16>,
    /// That of health checks and metrics; 0 lets the operating system choose.
    pub admin: u16,
}

/// Where a program has come to listen.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The API.
    pub http: Option<SocketAddr>,
    /// Health checks and metrics.
    pub admin: SocketAddr,
}

/// Why a program could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its port is taken, most likely.
    #[error("could not listen on port {port} ({variable}): {why}")]
    Listen {
        /// Which port.
        port: u16,
        /// The variable that sets it.
        variable: &'static str,
        /// What the operating system says.
        why: std::io::Error,
    },
    /// The operating system does not let us hear signals.
    #[error("could not listen for signals: {0}")]
    Signals(std::io::Error),
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that had begun was ended.
    Drained,
    /// A second signal, or the deadline, cut it short. Nothing that was answered is lost: what was cut is taken up
    /// again at the next start.
    Aborted,
}

impl Ended {
    /// Ends the process with the status that tells.
    ///
    /// At once: the runtime would wait for what can not be stopped, like the look-up of a name in a network that is
    /// gone. Everything that was answered is durable.
    pub fn exit(self) -> ! {
        std::process::exit(match self {
            Self::Drained => 0,
            Self::Aborted => 1,
        })
    }
}

/// Runs services in this process until a signal; calls `ready` once requests are taken. Without a bus nothing is
/// published and nothing is heard.
pub async fn run(
    services: Vec<Service>,
    bus: Option<Arc<dyn Bus>>,
    ports: Ports,
    ready: impl FnOnce(Addresses),
) -> Result<Ended, StartError> {
    let mut signals = Signals::new()?;
    let admin_listener = listen(ports.admin, "ADMIN_PORT").await?;
    let http_listener = match ports.http {
        Some(port) => Some(listen(port, "PORT").await?),
        None => None,
    };
    let addresses = Addresses {
        http: http_listener.as_ref().and_then(|listener| listener.local_addr().ok()),
        admin: admin_listener.local_addr().map_err(StartError::Signals)?,
    };

    let (stop, flush) = (CancellationToken::new(), CancellationToken::new());
    let (tasks, relays) = (TaskTracker::new(), TaskTracker::new());
    let mut routes = Router::new();
    let mut probes: Vec<(String, Probe)> = Vec::new();
    if let Some(bus) = bus.clone() {
        let probe = move || -> BoxFuture<'static, _> {
            let bus = bus.clone();
            Box::pin(async move { bus.ping().await.map_err(|error| error.to_string()) })
        };
        probes.push(("bus".to_owned(), Arc::new(probe)));
    }
    for service in services {
        routes = routes.merge(service.routes);
        probes.extend(service.probes);
        if let Some(bus) = &bus {
            for listener in service.listeners {
                tasks.spawn(listener.run(bus.clone(), stop.clone()));
            }
            if let Some(database) = service.database {
                relays.spawn(relay(service.name, database, bus.clone(), flush.clone()));
            }
        }
        for worker in service.workers {
            tasks.spawn(worker(stop.clone()));
        }
    }
    // Health checks and metrics answer to the very end.
    tokio::spawn(admin::keep_metrics_small());
    tokio::spawn(serve(admin_listener, admin::routes(probes, stop.clone()), CancellationToken::new()));
    if let Some(listener) = http_listener {
        tasks.spawn(serve(listener, with_middleware(routes), stop.clone()));
    }
    ready(addresses);

    signals.next().await;
    info!("stopping: no new requests; a second signal aborts");
    stop.cancel();
    let drain = async {
        let drained = ended(tasks, DRAIN).await;
        flush.cancel();
        ended(relays, FLUSH).await && drained
    };
    let drained = tokio::select! {
        drained = drain => drained,
        () = signals.next() => false,
    };
    if drained {
        info!("stopped");
        Ok(Ended::Drained)
    } else {
        warn!("stopped before everything had ended; the next start takes it up again");
        Ok(Ended::Aborted)
    }
}

async fn ended(tasks: TaskTracker, limit: Duration) -> bool {
    tasks.close();
    tokio::time::timeout(limit, tasks.wait()).await.is_ok()
}

async fn listen(port: u16, variable: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(|why| StartError::Listen { port, variable, why })
}

/// The signals that ask a program to stop.
pub struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    /// Hears them from now on: they do not end the process any more.
    pub fn new() -> Result<Self, StartError> {
        let hear = |kind| signal(kind).map_err(StartError::Signals);
        Ok(Self { terminate: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())? })
    }

    /// Waits for the next.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
