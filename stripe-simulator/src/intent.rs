//! A PaymentIntent and its rules: <https://docs.stripe.com/payments/paymentintents/lifecycle>.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::ids::IntentId;
use common::store::{Entity, Index, IndexKind, Schema};
use serde::{Deserialize, Serialize};

use crate::card::TestCard;
use crate::error::StripeError;
use crate::parameters::{Expand, Repetition};
use crate::reply::intent_value;

/// An intent: how it was created, and what became of it since.
///
/// Steps are kept rather than their result, each with the request that took it. So a repeated request can be answered
/// with the intent as it stood then, and the key is stored in the same write as what was done under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Intent {
    pub(crate) id: IntentId,
    pub(crate) version: u64,
    /// In the smallest unit of the currency.
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) capture_method: CaptureMethod,
    pub(crate) card: TestCard,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    /// Unix time in seconds.
    pub(crate) created: i64,
    /// The key of the request that created it; a unique index keeps a second intent from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) idempotency_key: Option<String>,
    pub(crate) fingerprint: String,
    pub(crate) steps: Vec<Step>,
}

/// Something that became of an intent.
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

/// What a request does to an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Action {
    Capture,
    Cancel,
    Refund,
}

/// When the money is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaptureMethod {
    Automatic,
    AutomaticAsync,
    Manual,
}

/// Where an intent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresCapture,
    Succeeded,
    Canceled,
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
    /// How it was created, before anything became of it.
    pub(crate) fn as_created(&self) -> Self {
        self.as_of(0)
    }

    /// The intent as it stood after its first `steps` steps.
    pub(crate) fn as_of(&self, steps: usize) -> Self {
        let mut then = self.clone();
        then.steps.truncate(steps);
        then
    }

    /// Where it stands.
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

    /// When this was done to it.
    pub(crate) fn done_at(&self, action: Action) -> Option<i64> {
        self.steps.iter().find(|step| step.action == action).map(|step| step.at)
    }

    /// Its name in the API.
    pub(crate) fn name(&self) -> String {
        format!("pi_{}", self.id)
    }

    /// The name of its charge: there is one, which failed if the card was declined.
    pub(crate) fn charge_name(&self) -> String {
        format!("ch_{}", self.id)
    }

    /// Whether a request repeats the one that created this.
    pub(crate) fn was_created_by(&self, repetition: &Repetition) -> Result<(), StripeError> {
        same_request(&self.fingerprint, repetition)
    }

    /// The intent as it stood after this very request, if it was made before.
    pub(crate) fn replay(&self, repetition: &Repetition) -> Result<Option<Self>, StripeError> {
        if repetition.key.is_none() {
            return Ok(None);
        }
        if self.idempotency_key == repetition.key {
            // The key of its creation, which was another endpoint: refused.
            same_request(&self.fingerprint, repetition)?;
        }
        let Some(step) = self.steps.iter().position(|step| step.idempotency_key == repetition.key) else {
            return Ok(None);
        };
        same_request(&self.steps[step].fingerprint, repetition)?;
        Ok(Some(self.as_of(step + 1)))
    }

    /// Captures, cancels or refunds it, if it stands so that this can be done.
    pub(crate) fn take_step(&mut self, action: Action, now: Timestamp, by: &Repetition) -> Result<(), StripeError> {
        self.check(action)?;
        self.steps.push(Step {
            action,
            at: now.as_secs(),
            idempotency_key: by.key.clone(),
            fingerprint: by.fingerprint.clone(),
        });
        self.version += 1;
        Ok(())
    }

    fn check(&self, action: Action) -> Result<(), StripeError> {
        let status = self.status();
        let refused = |message| Err(StripeError::unexpected_state(message, intent_value(self, Expand::Nothing)));
        match (action, status) {
            (Action::Capture, IntentStatus::RequiresCapture)
            | (Action::Cancel, IntentStatus::RequiresCapture | IntentStatus::RequiresPaymentMethod) => Ok(()),
            (Action::Capture, IntentStatus::Succeeded) => {
                refused("This PaymentIntent could not be captured because it has already been captured.".into())
            }
            (Action::Capture, IntentStatus::Canceled | IntentStatus::RequiresPaymentMethod) => refused(format!(
                "This PaymentIntent could not be captured because it has a status of {}. Only a PaymentIntent with one \
                 of the following statuses may be captured: requires_capture.",
                status.as_str()
            )),
            (Action::Cancel, IntentStatus::Succeeded | IntentStatus::Canceled) => refused(format!(
                "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of \
                 the following statuses may be canceled: requires_payment_method, requires_capture, \
                 requires_reauthorization, requires_confirmation, requires_action, processing.",
                status.as_str()
            )),
            (Action::Refund, IntentStatus::Succeeded) => match self.done_at(Action::Refund) {
                None => Ok(()),
                Some(_) => Err(StripeError::already_refunded(&self.charge_name())),
            },
            (
                Action::Refund,
                IntentStatus::RequiresCapture | IntentStatus::Canceled | IntentStatus::RequiresPaymentMethod,
            ) => refused(format!("This PaymentIntent ({}) does not have a successful charge to refund.", self.name())),
        }
    }
}

impl IntentStatus {
    fn as_str(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

/// A key stands for one request: the same endpoint with the same parameters.
fn same_request(fingerprint: &str, repetition: &Repetition) -> Result<(), StripeError> {
    if fingerprint == repetition.fingerprint {
        return Ok(());
    }
    Err(StripeError::other_parameters(repetition.key.as_deref().unwrap_or_default()))
}
