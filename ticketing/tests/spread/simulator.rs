//! Stripe's simulator: its process, and the money in its database.

use std::path::PathBuf;

use common::store::{Find, Schema, Store};
use engines::sqlite::SqliteStore;
use serde::Deserialize;
use tempfile::TempDir;
use testing::system::records::OrderRecord;
use testing::system::{Process, simulator_url};

use crate::binaries::binaries;

/// A running simulator. Killed when dropped.
pub(crate) struct Simulator {
    /// The base URL of its API.
    pub(crate) url: String,
    directory: TempDir,
    _process: Process,
}

/// A payment intent in the simulator's database.
#[derive(Deserialize)]
struct Intent {
    card: String,
    metadata: Metadata,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Metadata {
    order_id: String,
}

/// A change to an intent after its creation.
#[derive(Deserialize)]
struct Step {
    action: String,
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
        let count = |order: &OrderRecord, step| {
            intents.iter().filter(|intent| intent.metadata.order_id == order.id && intent.last_step() == step).count()
        };
        let misplaced = |order: &OrderRecord| {
            let (captured, authorised) = (count(order, "capture"), count(order, "authorise"));
            let expected = (usize::from(order.status == "complete"), 0);
            ((captured, authorised) != expected)
                .then(|| format!("{order:?}: {captured} payments captured, {authorised} authorised"))
        };
        orders.iter().filter_map(misplaced).collect()
    }

    /// All intents whose card was not declined.
    async fn intents(&self) -> Vec<Intent> {
        let [schema]: &[&'static Schema] = stripe_simulator::SCHEMAS else {
            panic!("the simulator has one collection")
        };
        let store = SqliteStore::open(&file(&self.directory), stripe_simulator::SCHEMAS).unwrap();
        let all = Find { equal: Vec::new(), after: None, limit: usize::MAX >> 1 };
        let documents = store.find(schema, all).await.unwrap();
        let intents = documents.iter().map(|document| serde_json::from_str::<Intent>(&document.body).unwrap());
        intents.filter(|intent| !intent.card.starts_with("charge_declined")).collect()
    }
}

impl Intent {
    fn last_step(&self) -> &str {
        self.steps.last().map_or("authorise", |step| &step.action)
    }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("stripe.db")
}
