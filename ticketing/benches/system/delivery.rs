//! Delivery of events, observed through the services' metrics.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;

use crate::http::{Connection, get};
use crate::system::System;

/// All listeners. A listener that has not handled anything yet has no metric, so they cannot be read from `/metrics`.
const LISTENERS: [&str; 15] = [
    "orders_ticket-created",
    "orders_ticket-updated",
    "tickets_order-created",
    "payments_order-created",
    "payments_order-updated",
    "expiration_order-created",
    "tickets_order-cancelled",
    "payments_order-cancelled",
    "expiration_order-cancelled",
    "payments_order-completed",
    "expiration_order-completed",
    "orders_expiration-complete",
    "orders_payment-created",
    "orders_payment-pending",
    "orders_payment-failed",
];

const POLL: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(120);

/// How many polls in a row must find nothing pending and no progress. A single one could fall between the handling of
/// an event and the publication of the event it causes.
const QUIET_POLLS: u32 = 5;

/// The value of each event and outbox series, summed over the processes.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Metrics(BTreeMap<String, f64>);

/// Connections to the admin ports of all processes.
pub(crate) struct Admin(Vec<Connection>);

impl Admin {
    pub(crate) async fn open(addresses: &[SocketAddr]) -> Result<Self> {
        Ok(Self(try_join_all(addresses.iter().copied().map(Connection::open)).await?))
    }

    pub(crate) async fn metrics(&mut self) -> Result<Metrics> {
        let mut metrics = Metrics::default();
        for process in &mut self.0 {
            let reply = process.send(&get("/metrics", None)).await?;
            ensure!(reply.status == 200, "/metrics answered {}", reply.status);
            metrics.add(&String::from_utf8_lossy(reply.body));
        }
        Ok(metrics)
    }
}

impl Metrics {
    fn add(&mut self, text: &str) {
        for line in text.lines().filter(|line| line.starts_with("events_") || line.starts_with("outbox_")) {
            if let Some((series, value)) = line.rsplit_once(' ')
                && let Ok(value) = value.parse::<f64>()
            {
                *self.0.entry(series.into()).or_default() += value;
            }
        }
    }

    fn published(&self, subject: &str) -> f64 {
        self.value("events_published_total", "subject", subject)
    }

    /// The number of events that a listener has handled or rejected.
    pub(crate) fn handled(&self, listener: &str) -> f64 {
        let count = |name| self.value(name, "listener", listener);
        count("events_handled_total") + count("events_dead_lettered_total")
    }

    /// The series of each listener with dead letters, and their number.
    pub(crate) fn dead_letters(&self) -> Vec<String> {
        let letters = self.0.iter().filter(|(series, _)| series.starts_with("events_dead_lettered_total"));
        letters.map(|(series, count)| format!("{series} {count}")).collect()
    }

    /// Describes what is still undelivered.
    fn pending(&self) -> Vec<String> {
        let listeners = LISTENERS.into_iter().filter_map(|listener| {
            let (_, subject) = listener.split_once('_')?;
            let behind = self.published(&subject.replace('-', ":")) - self.handled(listener);
            (behind > 0.0).then(|| format!("{listener} is {behind} events behind"))
        });
        let outboxes = self.0.iter().filter(|(series, age)| series.starts_with("outbox_oldest_seconds") && **age > 0.0);
        listeners.chain(outboxes.map(|(series, age)| format!("{series} is {age}"))).collect()
    }

    fn value(&self, name: &str, label: &str, value: &str) -> f64 {
        self.0.get(&format!("{name}{{{label}=\"{value}\"}}")).copied().unwrap_or_default()
    }
}

/// Waits until every event is published and handled by all its listeners, and returns the time when that was reached.
pub(crate) async fn wait_until_delivered(system: &System) -> Result<Instant> {
    let began = Instant::now();
    let mut admin = Admin::open(&system.admin).await?;
    let (mut last, mut since, mut quiet) = (Metrics::default(), began, 0);
    loop {
        let metrics = admin.metrics().await?;
        let pending = metrics.pending();
        if pending.is_empty() && metrics == last {
            quiet += 1;
        } else {
            (last, since, quiet) = (metrics, Instant::now(), 0);
        }
        if quiet == QUIET_POLLS {
            return Ok(since);
        }
        ensure!(began.elapsed() < TIMEOUT, "events not delivered within {TIMEOUT:?}: {}", pending.join(", "));
        tokio::time::sleep(POLL).await;
    }
}
