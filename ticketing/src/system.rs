//! Builds all services on embedded engines.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use common::bus::Bus;
use common::clock::{Clock, SystemClock};
use common::service::{Addresses, Exit, Service, run};
use common::session::Sessions;
use common::store::{Database, Schema};
use engines::sqlite::{SqliteBus, SqliteJobs, SqliteStore};
use payments::StripeConfig;
use payments::stripe::Stripe;

use crate::config::Config;
use crate::data::{DataDirectory, EVENTS, JOBS, ORDERS, PAYMENTS, SIMULATOR, TICKETS, USERS};

/// Every service, ready to run.
pub(crate) struct System {
    services: Vec<Service>,
    bus: Arc<dyn Bus>,
    /// Where payments go, for the banner.
    payments: String,
    data: DataDirectory,
}

impl System {
    /// Opens the data directory and builds the services.
    pub(crate) async fn open(config: &Config) -> anyhow::Result<Self> {
        let data = DataDirectory::open(&config.data_dir)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let key = config.jwt_key.clone().map_or_else(|| data.session_key(), Ok)?;
        let sessions = Sessions::new(&key, clock.clone());
        let retention = config.retention.event_retention();
        let bus: Arc<dyn Bus> = Arc::new(SqliteBus::open_with(&data.file(EVENTS), clock.clone(), retention)?);
        let jobs = Arc::new(SqliteJobs::open(&data.file(JOBS))?);
        let database = |name: &str, schemas: &[&Schema]| open(&data.file(name), schemas, &clock);
        let simulator = || database(SIMULATOR, stripe_simulator::SCHEMAS);
        let (stripe, payments) = stripe(&config.stripe, simulator).await?;
        let secrets = config.stripe.webhook_secrets();
        let services = vec![
            auth::service(&database(USERS, auth::SCHEMAS)?, sessions.clone(), config.auth.clone()),
            tickets::service(&database(TICKETS, tickets::SCHEMAS)?, sessions.clone(), retention),
            orders::service(&database(ORDERS, orders::SCHEMAS)?, sessions.clone(), &config.orders),
            payments::service(&database(PAYMENTS, payments::SCHEMAS)?, sessions, stripe, secrets),
            expiration::service(jobs, bus.clone(), clock.clone()),
        ];
        Ok(Self { services, bus, payments, data })
    }

    /// Runs until a signal.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<Exit> {
        let Self { services, bus, payments, data } = self;
        let ready = |addresses| print_banner(addresses, &payments, data.path());
        Ok(run(services, Some(bus), Some(config.port), config.process, Box::new(ready)).await?)
    }
}

fn open(path: &Path, schemas: &[&Schema], clock: &Arc<dyn Clock>) -> anyhow::Result<Database> {
    Ok(Database::new(Arc::new(SqliteStore::open(path, schemas)?), clock.clone()))
}

/// A client of Stripe, or of a simulator if there is no key, and a line for the banner that says which.
async fn stripe(
    config: &StripeConfig,
    simulator: impl FnOnce() -> anyhow::Result<Database>,
) -> anyhow::Result<(Stripe, String)> {
    if config.stripe_key.is_some() {
        return Ok((config.stripe()?, format!("Stripe API at {}", config.base())));
    }
    if config.stripe_api_base.is_some() {
        bail!("STRIPE_API_BASE is set but STRIPE_KEY is not; set both, or neither to use the simulator");
    }
    let address = (Ipv4Addr::LOCALHOST, 0).into();
    let address =
        stripe_simulator::start(&simulator()?, address).await.context("could not start the Stripe simulator")?;
    let base = format!("http://{address}");
    let stripe = Stripe::new(&base.parse()?, &"sk_test_simulator".into())?;
    Ok((stripe, format!("Stripe simulator on {base}: no real money moves")))
}

/// Prints the addresses and what to try first.
fn print_banner(addresses: Addresses, payments: &str, data: &Path) {
    let url = |address: SocketAddr| format!("http://{address}");
    let api = addresses.http.map(url).unwrap_or_default();
    let lines = format!(
        "Ticketing {}
  API       {api}/api
  Admin     {}  (/healthz/live, /healthz/ready, /metrics)
  Data      {}
  Payments  {payments}
  Try it    curl -s {api}/api/tickets
",
        env!("CARGO_PKG_VERSION"),
        url(addresses.admin),
        data.display(),
    );
    // Standard output may be closed.
    let _closed = io::stdout().write_all(lines.as_bytes());
}
