//! How many commands the services send to MongoDB, as its driver reports them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use common::store::{Find, Schema, Store};
use engines::mongo::MongoStore;
use serde_json::Value;
use testing::system::{Order, User};
use testing::{wait_until, wait_until_ok};

use crate::spread::Spread;

/// How often a test buys. The cheapest purchase counts, because some commands are sent at intervals.
const PURCHASES: u64 = 5;

/// How long Stripe takes to capture, so that a test can tell the capture from what precedes it.
const CAPTURE: Duration = Duration::from_secs(1);

/// The commands so far by service, those of readiness probes excepted.
type Commands = BTreeMap<&'static str, u64>;

#[tokio::test]
async fn a_purchase_takes_at_most_28_commands() {
    let Some(system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let databases = Databases::open(&system).await;
    system.simulator.delay_captures(CAPTURE).await;
    let (mut bought, mut settled) = (u64::MAX, u64::MAX);
    for n in 1..=PURCHASES {
        let before = total(&system).await;
        let order = buy(&system, &ann, &bob, n).await;
        bought = bought.min(total(&system).await - before);
        databases.wait_until_settled(&order).await;
        settled = settled.min(total(&system).await - before);
    }
    assert!(bought <= 28, "{bought} commands until the payments service knows that the order is complete");
    assert!(settled <= 30, "{settled} commands until the payment is captured");
}

#[tokio::test]
async fn an_idle_service_sends_at_most_one_command_per_second() {
    let Some(system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (began, before) = (Instant::now(), commands(&system).await);
    let sent = async || {
        let sent: Commands =
            commands(&system).await.into_iter().map(|(name, count)| (name, count - before[name])).collect();
        if sent.values().any(|count| *count > 20) { Ok(sent) } else { Err(format!("{sent:?}")) }
    };
    let sent = wait_until_ok(sent).await;
    assert!(began.elapsed() > Duration::from_secs(20), "{sent:?} in {:?}", began.elapsed());
}

/// Lists, orders and pays for a ticket, the nth of this system. Waits without asking a service that would ask MongoDB.
async fn buy(system: &Spread, ann: &User, bob: &User, n: u64) -> Order {
    let ticket = ann.create_ticket("Concert", "20").await;
    wait_until_handled(system, &["orders_ticket-created"], n).await;
    let order: Order = bob.post_order(&ticket.id).send().await.expect(201).json();
    wait_until_handled(system, &["payments_order-created", "orders_ticket-updated"], n).await;
    bob.post_payment(&order.id, "tok_visa").send().await.expect(201);
    wait_until_handled(system, &["payments_order-completed"], n).await;
    order
}

/// Waits until each of these listeners has handled `count` events.
async fn wait_until_handled(system: &Spread, listeners: &[&str], count: u64) {
    wait_until_ok(async || {
        let metrics: String = system.admin("/metrics").await.into_iter().map(|(_, _, metrics)| metrics).collect();
        let line = |listener: &&str| format!("events_handled_total{{listener=\"{listener}\"}} {count}");
        let missing = listeners.iter().map(line).find(|line| !metrics.lines().any(|other| other == line));
        missing.map_or(Ok(()), Err)
    })
    .await;
}

async fn total(system: &Spread) -> u64 {
    commands(system).await.into_values().sum()
}

async fn commands(system: &Spread) -> Commands {
    let mut commands = Commands::new();
    for (service, _, metrics) in system.admin("/metrics").await {
        let sent = metrics.lines().filter_map(|line| line.strip_prefix("mongodb_commands_total{command=\""));
        let counts = sent.map(|rest| rest.split_once("\"} ").unwrap()).filter(|(command, _)| *command != "ping");
        let count = counts.map(|(_, count)| count.parse::<u64>().unwrap()).sum();
        if service != "expiration" {
            assert!(count > 0, "{service} has sent no command: {metrics}");
        }
        commands.insert(service, count);
    }
    commands
}

/// The databases through other clients, whose commands do not count.
struct Databases(Vec<(&'static [&'static Schema], MongoStore)>);

impl Databases {
    async fn open(system: &Spread) -> Self {
        let mut databases = Vec::new();
        for (service, schemas) in
            [("tickets", tickets::SCHEMAS), ("orders", orders::SCHEMAS), ("payments", payments::SCHEMAS)]
        {
            let uri = format!("mongodb://127.0.0.1:{}", system.engines.mongo.proxy.port()).into();
            databases.push((schemas, MongoStore::connect(&uri, service, schemas).await.unwrap()));
        }
        Self(databases)
    }

    /// Waits until an order's payment is captured and all events are cleared.
    async fn wait_until_settled(&self, order: &Order) {
        let (schemas, payments) = &self.0[2];
        let of_order = Find { equal: vec![("orderId", (&*order.id).into())], after: None, limit: 1 };
        wait_until("the payment is captured", async || {
            let found = payments.find(schemas[1], of_order.clone()).await.unwrap();
            let payment: Value = serde_json::from_str(&found[0].body).unwrap();
            (payment["status"] == "captured").then_some(())
        })
        .await;
        for (_, store) in &self.0 {
            let is_empty = async || store.unpublished(1).await.unwrap().events.is_empty().then_some(());
            wait_until("an empty outbox", is_empty).await;
        }
    }
}
