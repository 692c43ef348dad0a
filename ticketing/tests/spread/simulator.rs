//! Stripe's simulator: its process, and the money in its database.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use common::store::{Find, Store};
use engines::sqlite::SqliteStore;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tempfile::TempDir;
use testing::system::records::OrderRecord;
use testing::system::{Order, Process, http_client, simulator_url};

use crate::binaries::binaries;

/// A running simulator. Killed when dropped.
pub(crate) struct Simulator {
    /// The base URL of its API.
    pub(crate) url: String,
    directory: TempDir,
    _process: Process,
}

/// A document of the simulator's database: an intent after a change, or something else.
#[derive(Deserialize)]
struct Revision {
    intent: Option<Intent>,
}

/// A payment intent after one of its changes.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Intent {
    id: String,
    /// The number of its change.
    sequence: u64,
    terms: Terms,
    status: String,
    charge: Option<Charge>,
}

#[derive(Deserialize)]
struct Terms {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    order_id: String,
}

/// An attempt to move money.
#[derive(Deserialize)]
struct Charge {
    /// A name, or an object with the name as its key.
    state: Value,
    refund: Option<IgnoredAny>,
}

impl Simulator {
    /// Starts it with an empty database.
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let mut command = binaries().command("stripe-simulator");
        command.args(["--port", "0", "--file"]).arg(file(&directory));
        let process = Process::start(&mut command);
        let url = process.wait_for_output(simulator_url).await;
        Self { url, directory, _process: process }
    }

    /// Describes money that was captured or is still authorised, and should not be.
    pub(crate) async fn misplaced_money(&self, orders: &[OrderRecord]) -> Vec<String> {
        let intents = self.intents().await;
        let count = |order: &OrderRecord, has: fn(&Intent) -> bool| {
            intents.iter().filter(|intent| intent.terms.metadata.order_id == order.id && has(intent)).count()
        };
        let misplaced = |order: &OrderRecord| {
            let (captured, authorised) = (count(order, Intent::is_captured), count(order, Intent::is_authorised));
            let expected = (usize::from(order.status == "complete"), 0);
            ((captured, authorised) != expected)
                .then(|| format!("{order:?}: {captured} payments captured, {authorised} authorised"))
        };
        orders.iter().filter_map(misplaced).collect()
    }

    /// Completes the step that the bank requires of an order's buyer.
    pub(crate) async fn authenticate(&self, order: &Order) {
        self.intervene(order, "authenticate").await;
    }

    /// Does what a person or a bank does to the intent of an order.
    pub(crate) async fn intervene(&self, order: &Order, action: &str) {
        let intents = self.intents().await;
        let intent = intents.iter().find(|intent| intent.terms.metadata.order_id == order.id).unwrap();
        let url = format!("{}/_simulator/payment_intents/pi_{}/{action}", self.url, intent.id);
        http_client().post(url).send().await.unwrap().error_for_status().unwrap();
    }

    /// Makes each capture take longer.
    pub(crate) async fn delay_captures(&self, delay: Duration) {
        let rule =
            json!({"operation": "capture", "fault": "delay", "delayMs": delay.as_millis() as u64, "times": 1000});
        let url = format!("{}/_simulator/faults", self.url);
        let request = http_client().post(url).body(rule.to_string());
        request.send().await.unwrap().error_for_status().unwrap();
    }

    /// The latest state of each intent.
    async fn intents(&self) -> Vec<Intent> {
        let revisions = stripe_simulator::SCHEMAS[0];
        let store = SqliteStore::open(&file(&self.directory), stripe_simulator::SCHEMAS).unwrap();
        let all = Find { equal: Vec::new(), after: None, limit: usize::MAX >> 1 };
        let documents = store.find(revisions, all).await.unwrap();
        let revisions = documents.iter().map(|document| serde_json::from_str::<Revision>(&document.body).unwrap());
        let mut latest = HashMap::<String, Intent>::new();
        for intent in revisions.filter_map(|revision| revision.intent) {
            if latest.get(&intent.id).is_none_or(|known| known.sequence < intent.sequence) {
                latest.insert(intent.id.clone(), intent);
            }
        }
        latest.into_values().collect()
    }
}

impl Intent {
    /// Whether its money was taken and not given back.
    fn is_captured(&self) -> bool {
        self.charge.as_ref().is_some_and(|charge| charge.state == "captured" && charge.refund.is_none())
    }

    /// Whether its money is held and neither taken nor released.
    fn is_authorised(&self) -> bool {
        self.status == "requires_capture"
    }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("stripe.db")
}
