//! The lifecycle of a process, which may run one service or all of them.
//!
//! A [`Service`] is a list of parts. [`run()`] starts the parts and runs them until a signal. From then on the process is
//! not ready, but keeps serving for a while, because proxies notice that late. Then it accepts no more requests and
//! events, finishes those in flight, and finally publishes what is left in the outboxes.
//!
//! A part that ends by itself or panics stops the process in the same way, with an error. A
//! supervisor such as Kubernetes or systemd then starts it again.

mod admin;
mod bus;
mod config;
mod events;
mod probe;
mod run;
mod signals;
mod tasks;

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::error::BoxError;
use crate::listener::{Listeners, RegisteredListener};
use crate::outbox::Published;
use crate::records::Records;
use crate::store::Database;

use probe::Probe;

pub use admin::install_metrics;
pub use config::ProcessConfig;
pub use run::{Addresses, Exit, StartError, run};
pub use signals::Signals;

/// A background task that runs until its token is cancelled.
pub type Worker = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send>;

/// The parts of a service.
pub struct Service {
    /// Its name: `orders`.
    pub name: &'static str,
    /// Its HTTP routes, `/api/…`.
    pub routes: Router,
    /// Its listeners.
    pub listeners: Vec<RegisteredListener>,
    /// Its background tasks.
    pub workers: Vec<Worker>,
    database: Option<Database>,
    records: Option<Records>,
    published: Published,
    probes: Vec<(String, Probe)>,
    start_checks: Vec<StartCheck>,
}

/// A check that must succeed before a service starts.
type StartCheck = Box<dyn FnOnce() -> BoxFuture<'static, Result<(), BoxError>> + Send>;

impl Service {
    /// Creates a service without parts.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            routes: Router::new(),
            listeners: Vec::new(),
            workers: Vec::new(),
            database: None,
            records: None,
            published: Published::default(),
            probes: Vec::new(),
            start_checks: Vec::new(),
        }
    }

    /// Serves HTTP routes.
    pub fn routes(mut self, routes: Router) -> Self {
        self.routes = routes;
        self
    }

    /// Runs listeners.
    pub fn listeners<S>(mut self, listeners: Listeners<S>) -> Self {
        self.listeners = listeners.into_registered();
        self
    }

    /// Publishes the outbox of this database. The service is ready only while the database responds.
    pub fn database(mut self, database: Database) -> Self {
        self.database = Some(database.clone());
        self.probe("database", move || {
            let store = database.store().clone();
            async move { store.ping().await }
        })
    }

    /// Keeps these records of the database and the events that announce them consistent after a loss of either.
    pub fn announces(mut self, records: Records) -> Self {
        self.records = Some(records);
        self
    }

    /// Runs a background task.
    pub fn worker<F>(mut self, worker: impl FnOnce(CancellationToken) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.workers.push(Box::new(|stop| Box::pin(worker(stop))));
        self
    }

    /// Runs a check before the service starts. Its error stops the start.
    pub fn check_before_start<F, E>(mut self, check: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.start_checks.push(Box::new(|| {
            let result = check();
            Box::pin(async move { result.await.map_err(Into::into) })
        }));
        self
    }

    /// Adds a condition of readiness: the service is ready only while `probe` succeeds.
    pub fn probe<F, E>(mut self, name: &str, probe: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + Send + Sync + 'static,
    {
        let probe: Probe = Arc::new(move || {
            let result = probe();
            Box::pin(async move { result.await.map_err(Into::into) })
        });
        self.probes.push((format!("{} {name}", self.name), probe));
        self
    }
}
