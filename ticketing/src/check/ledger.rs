//! The money at Stripe, or at the simulator that stands in for it.

use std::collections::BTreeMap;
use std::time::Duration;

use common::clock::Timestamp;
use common::ids::IntentId;
use common::store::Database;
use payments::Drift;
use payments::operations::drift;
use payments::stripe::Stripe;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

use super::finding::Findings;
use super::read::read;
use super::records::Stored;

/// How far back Stripe's intents are compared.
const WINDOW: Duration = Duration::from_secs(24 * 3600);

/// Where the money is.
pub(super) enum Account {
    /// The database of the simulator.
    Simulator(Database),
    Stripe(Stripe),
}

/// What became of the money.
pub(super) enum Ledger {
    Simulator(BTreeMap<String, Intent>),
    Stripe(Vec<Drift>),
}

/// A document of the simulator: an intent after a change, or something else.
#[derive(Deserialize)]
pub(super) struct Revision {
    id: IntentId,
    version: u64,
    intent: Option<Intent>,
}

/// A PaymentIntent of the simulator.
#[derive(Deserialize)]
pub(super) struct Intent {
    id: IntentId,
    /// The number of its change.
    sequence: u64,
    terms: Terms,
    status: String,
    charge: Option<Charge>,
}

#[derive(Deserialize)]
struct Terms {
    amount: u64,
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Charge {
    /// A name, or an object with the name as its key.
    state: Value,
    refund: Option<IgnoredAny>,
}

impl Stored for Revision {
    type Id = IntentId;

    fn id(&self) -> IntentId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Account {
    /// Reads the intents. `payments` is the database of payments, to compare Stripe's intents with.
    pub(super) async fn read(&self, payments: Option<&Database>, now: Timestamp) -> anyhow::Result<Option<Ledger>> {
        Ok(match (self, payments) {
            (Self::Simulator(database), _) => Some(Ledger::Simulator(intents(database).await?)),
            (Self::Stripe(stripe), Some(payments)) => {
                let drifts =
                    drift(payments, stripe, now.minus(WINDOW)).await.map_err(|error| anyhow::anyhow!(error))?;
                Some(Ledger::Stripe(drifts))
            }
            (Self::Stripe(_), None) => None,
        })
    }
}

/// The latest state of each intent, by its public id.
async fn intents(database: &Database) -> anyhow::Result<BTreeMap<String, Intent>> {
    // What cannot be read there is no concern of the system.
    let mut ignored = Findings::default();
    let revisions =
        read::<Revision>(Some(database), "the simulator", stripe_simulator::SCHEMAS, "revisions", &mut ignored);
    let revisions = revisions.await?.unwrap_or_default();
    let mut latest = BTreeMap::<String, Intent>::new();
    for intent in revisions.into_values().filter_map(|revision| revision.record.intent) {
        let id = format!("pi_{}", intent.id);
        if latest.get(&id).is_none_or(|known| known.sequence < intent.sequence) {
            latest.insert(id, intent);
        }
    }
    Ok(latest)
}

impl Intent {
    pub(super) fn amount(&self) -> u64 {
        self.terms.amount
    }

    /// The payment in its metadata.
    pub(super) fn payment(&self) -> Option<&String> {
        self.terms.metadata.get("payment_id")
    }

    /// Whether the amount is held and neither charged nor released.
    pub(super) fn is_held(&self) -> bool {
        self.status == "requires_capture"
    }

    /// Whether the amount is charged and not refunded.
    pub(super) fn is_charged(&self) -> bool {
        self.charge.as_ref().is_some_and(|charge| charge.state == "captured" && charge.refund.is_none())
    }
}
