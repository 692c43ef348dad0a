//! The records in the services' databases, checked against each other and against the simulator's payments.

use std::time::Duration;

use common::bus::Bus;
use common::store::{Find, Schema, Store};
use engines::mongo::MongoStore;
use engines::nats::{NatsBus, NatsConfig};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use testing::system::http_client;
use testing::system::records::{OrderRecord, Records};

use crate::deploy::ALL;
use crate::forward::Forward;
use crate::kubectl::{kubectl, pods};
use crate::progress::{eventually, report};

/// How long the services may take to agree: orders expire, and retried events wait for up to a minute.
const LIMIT: Duration = Duration::from_secs(180);

/// Waits until the services agree with each other, every order is decided, and every event is published. Expects that no
/// event was rejected and that nothing has panicked.
pub(crate) async fn wait_until_consistent() {
    let summary = eventually(LIMIT, async || {
        let (records, summary) = read().await?;
        let inconsistencies = records.inconsistencies();
        if inconsistencies.is_empty() { Ok(summary) } else { Err(inconsistencies.join("\n")) }
    })
    .await;
    report(&format!("consistent: {summary}"));
    assert_no_dead_letters().await;
    for pod in pods(ALL).await {
        let log = kubectl(&["logs", "--tail=20000", &pod.name]).await;
        assert!(!log.contains("panicked"), "{} has panicked:\n{log}", pod.name);
    }
}

/// A payment, with what only its database holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StripePayment {
    id: String,
    status: String,
    stripe_id: Option<String>,
}

/// Reads all records. Fails while a database cannot be reached.
async fn read() -> Result<(Records, String), String> {
    let [tickets, orders, payments] = tokio::try_join!(
        Database::open("tickets", tickets::SCHEMAS),
        Database::open("orders", orders::SCHEMAS),
        Database::open("payments", payments::SCHEMAS),
    )
    .map(<[_; 3]>::from)?;
    let all_orders: Vec<OrderRecord> = orders.all("orders").await?;
    let undecided = all_orders.iter().filter(|order| order.status == "created");
    let mut pending: Vec<_> = undecided.map(|order| format!("order {} is undecided", order.id)).collect();
    for database in [&tickets, &orders, &payments] {
        pending.extend(database.unpublished().await?);
    }
    pending.extend(misplaced_money(&payments.all("payments").await?).await?);
    let (all_tickets, all_payments) = (tickets.all("tickets").await?, payments.all("payments").await?);
    let (tickets, orders, payments) = (all_tickets.len(), all_orders.len(), all_payments.len());
    let summary = format!("{tickets} tickets, {orders} orders, {payments} payments");
    Ok((Records::new(all_tickets, all_orders, all_payments, pending), summary))
}

/// The database of a service.
struct Database {
    service: &'static str,
    store: MongoStore,
    schemas: &'static [&'static Schema],
    _forward: Forward,
}

impl Database {
    async fn open(service: &'static str, schemas: &'static [&'static Schema]) -> Result<Self, String> {
        let forward = Forward::to(&format!("{service}-mongo-srv"), 27017).await?;
        let uri = format!("mongodb://127.0.0.1:{}/{service}?directConnection=true", forward.port).into();
        let store = MongoStore::connect(&uri, service, schemas).await;
        let store = store.map_err(|error| format!("could not read the records of {service}: {error:?}"))?;
        Ok(Self { service, store, schemas, _forward: forward })
    }

    /// All documents of a collection.
    async fn all<T: DeserializeOwned>(&self, collection: &str) -> Result<Vec<T>, String> {
        let schema = self.schemas.iter().find(|schema| schema.collection == collection).expect("a collection");
        let all = Find { equal: Vec::new(), after: None, limit: usize::MAX >> 1 };
        let found = self.store.find(schema, all).await;
        let found = found.map_err(|error| format!("could not read the records of {}: {error:?}", self.service))?;
        Ok(found.iter().map(|document| serde_json::from_str(&document.body).unwrap()).collect())
    }

    /// Describes events that are not published yet.
    async fn unpublished(&self) -> Result<Option<String>, String> {
        let found = self.store.unpublished(1000).await.map_err(|error| format!("{}: {error:?}", self.service))?;
        let count = found.events.len() + found.invalid.len();
        Ok((count > 0).then(|| format!("{} has {count} unpublished events", self.service)))
    }
}

/// Describes payments that Stripe's simulator has in another state.
async fn misplaced_money(payments: &[StripePayment]) -> Result<Vec<String>, String> {
    let forward = Forward::to("stripe-simulator-srv", 12111).await?;
    let (http, mut misplaced) = (http_client(), Vec::new());
    for payment in payments {
        let Some(stripe_id) = &payment.stripe_id else { continue };
        let expected = match payment.status.as_str() {
            "captured" | "refunded" => "succeeded",
            "voided" => "canceled",
            _ => continue,
        };
        let url = format!("http://127.0.0.1:{}/v1/payment_intents/{stripe_id}", forward.port);
        let reply = http.get(url).bearer_auth("sk_test_simulator").send().await.map_err(|error| error.to_string())?;
        let intent: Value = reply.json().await.map_err(|error| error.to_string())?;
        if intent["status"] != expected {
            misplaced.push(format!("payment {} is {}, but at Stripe {}", payment.id, payment.status, intent["status"]));
        }
    }
    Ok(misplaced)
}

/// Expects that no listener has rejected an event.
async fn assert_no_dead_letters() {
    let forward = Forward::to("nats-srv", 4222).await.unwrap();
    let config = NatsConfig::new(format!("nats://127.0.0.1:{}", forward.port).into(), "test", "ticketing");
    let bus = NatsBus::connect_to_existing(&config).await.unwrap();
    assert_eq!(bus.dead_letters(None, 10).await.unwrap(), []);
}
