//! PaymentIntents and their transitions: <https://docs.stripe.com/payments/paymentintents/lifecycle>.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::ids::IntentId;
use common::store::{Entity, Index, IndexKind, Schema};
use serde::{Deserialize, Serialize};

use crate::card::TestCard;
use crate::idempotency::{KeyReused, RequestIdentity};

/// A PaymentIntent.
///
/// It stores the steps that led to its status, not the status, each with the request that caused it. So a retry gets
/// the intent as it was after the original request, and an idempotency key is stored in the same write as its effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Intent {
    pub(crate) id: IntentId,
    pub(crate) version: u64,
    /// In the currency's smallest unit.
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) capture_method: CaptureMethod,
    pub(crate) card: TestCard,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    /// Unix time in seconds.
    pub(crate) created: i64,
    /// The key of the request that created the intent. A unique index allows one intent per key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<String>,
    pub(crate) fingerprint: String,
    pub(crate) steps: Vec<Step>,
}

/// A change to an intent after its creation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Unix time in seconds.
    pub(crate) at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<String>,
    pub(crate) fingerprint: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Capture,
    Cancel,
    Refund,
}

/// When the authorised money is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaptureMethod {
    Automatic,
    AutomaticAsync,
    Manual,
}

/// The state of an intent. A refund does not change it: the intent stays succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresCapture,
    Succeeded,
    Canceled,
}

/// Why the state of an intent does not allow an action.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransitionError {
    #[error("the status of intent {} does not allow this action", .intent.id)]
    InvalidStatus { action: Action, intent: Box<Intent> },
    #[error("charge {charge_id} has already been refunded")]
    AlreadyRefunded { charge_id: String },
}

impl Entity for Intent {
    type Id = IntentId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "intents",
        indexes: &[Index { name: "intents_by_idempotency_key", fields: &["idempotencyKey"], kind: IndexKind::Unique }],
        ids: &[],
        times: &[],
    };

    fn id(&self) -> IntentId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Intent {
    /// Parses the id of [`public_id`](Self::public_id).
    pub(crate) fn parse_public_id(text: &str) -> Option<IntentId> {
        text.strip_prefix("pi_")?.parse().ok()
    }

    /// The id in the API, `pi_…`.
    pub(crate) fn public_id(&self) -> String {
        format!("pi_{}", self.id)
    }

    /// The id of the charge. Each intent has exactly one; it failed if the card was declined.
    pub(crate) fn charge_id(&self) -> String {
        format!("ch_{}", self.id)
    }

    pub(crate) fn status(&self) -> IntentStatus {
        match self.steps.last().map(|step| step.action) {
            Some(Action::Cancel) => IntentStatus::Canceled,
            Some(Action::Capture | Action::Refund) => IntentStatus::Succeeded,
            None if self.card.decline().is_some() => IntentStatus::RequiresPaymentMethod,
            None => match self.capture_method {
                CaptureMethod::Manual => IntentStatus::RequiresCapture,
                CaptureMethod::Automatic | CaptureMethod::AutomaticAsync => IntentStatus::Succeeded,
            },
        }
    }

    /// When the action was taken, if it was.
    pub(crate) fn taken_at(&self, action: Action) -> Option<i64> {
        self.steps.iter().find(|step| step.action == action).map(|step| step.at)
    }

    /// The intent as it was when created, if this request is a retry of its creation.
    pub(crate) fn replay_creation(&self, request: &RequestIdentity) -> Result<Option<Self>, KeyReused> {
        Ok(self.is_creation_retried_by(request)?.then(|| self.after_steps(0)))
    }

    /// The intent as it was after the step this request is a retry of, if there is one.
    pub(crate) fn replay_step(&self, request: &RequestIdentity) -> Result<Option<Self>, KeyReused> {
        // Fails if the key is the creation's: creating is another endpoint.
        self.is_creation_retried_by(request)?;
        for (index, step) in self.steps.iter().enumerate() {
            if request.is_retry_of(step.idempotency_key.as_deref(), &step.fingerprint)? {
                return Ok(Some(self.after_steps(index + 1)));
            }
        }
        Ok(None)
    }

    /// Takes the action if the intent's state allows it.
    pub(crate) fn take(
        &mut self,
        action: Action,
        now: Timestamp,
        request: &RequestIdentity,
    ) -> Result<(), TransitionError> {
        self.check(action)?;
        self.steps.push(Step {
            action,
            at: now.as_secs(),
            idempotency_key: request.key.clone(),
            fingerprint: request.fingerprint.clone(),
        });
        self.version += 1;
        Ok(())
    }

    fn check(&self, action: Action) -> Result<(), TransitionError> {
        use IntentStatus::{Canceled, RequiresCapture, RequiresPaymentMethod, Succeeded};
        match (action, self.status()) {
            (Action::Capture, RequiresCapture) | (Action::Cancel, RequiresCapture | RequiresPaymentMethod) => Ok(()),
            (Action::Refund, Succeeded) if self.taken_at(Action::Refund).is_none() => Ok(()),
            (Action::Refund, Succeeded) => Err(TransitionError::AlreadyRefunded { charge_id: self.charge_id() }),
            (Action::Capture, RequiresPaymentMethod | Succeeded | Canceled)
            | (Action::Cancel, Succeeded | Canceled)
            | (Action::Refund, RequiresPaymentMethod | RequiresCapture | Canceled) => {
                Err(TransitionError::InvalidStatus { action, intent: Box::new(self.clone()) })
            }
        }
    }

    fn is_creation_retried_by(&self, request: &RequestIdentity) -> Result<bool, KeyReused> {
        request.is_retry_of(self.idempotency_key.as_deref(), &self.fingerprint)
    }

    fn after_steps(&self, count: usize) -> Self {
        let mut earlier = self.clone();
        earlier.steps.truncate(count);
        earlier
    }
}
