//! PaymentIntents: <https://docs.stripe.com/api/payment_intents/object>. `lifecycle.rs` has their transitions.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::ids::IntentId;
use serde::{Deserialize, Serialize};

use crate::card::{Failure, TestCard};
use crate::fault::CardFault;

/// How long an authorisation lasts, in seconds: seven days.
const HOLD_SECONDS: i64 = 7 * 24 * 60 * 60;

/// A PaymentIntent. Times are Unix times in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Intent {
    pub(crate) id: IntentId,
    /// The number of changes since the creation.
    pub(crate) sequence: u64,
    pub(crate) terms: Terms,
    pub(crate) created: i64,
    pub(crate) status: IntentStatus,
    /// The payment method to confirm with, or that it was confirmed with.
    pub(crate) payment_method: Option<PaymentMethod>,
    /// How many payment methods there have been.
    pub(crate) payment_methods: u32,
    /// The latest charge.
    pub(crate) charge: Option<Charge>,
    /// How many charges there have been.
    pub(crate) charges: u32,
    pub(crate) last_error: Option<PaymentError>,
    pub(crate) cancellation: Option<Cancellation>,
}

/// What the creation of an intent asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Terms {
    /// In the currency's smallest unit.
    pub(crate) amount: u64,
    pub(crate) currency: String,
    pub(crate) capture_method: CaptureMethod,
    /// Whether Stripe chooses the types of payment methods, and whether these may redirect.
    pub(crate) automatic: Option<Redirects>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) description: Option<String>,
    pub(crate) statement_descriptor: Option<String>,
    pub(crate) statement_descriptor_suffix: Option<String>,
}

/// When the authorised money is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaptureMethod {
    Automatic,
    AutomaticAsync,
    Manual,
}

/// Whether payment methods may redirect the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Redirects {
    Always,
    Never,
}

/// The state of an intent. A refund does not change it: the intent stays succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

/// A card that is attached to an intent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentMethod {
    pub(crate) id: String,
    pub(crate) card: TestCard,
    pub(crate) fault: Option<CardFault>,
    pub(crate) created: i64,
}

/// An attempt to move money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Charge {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) payment_method: PaymentMethod,
    pub(crate) state: ChargeState,
    pub(crate) refund: Option<Refund>,
    /// When the payment was disputed.
    pub(crate) disputed: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ChargeState {
    Pending,
    Failed(Failure),
    /// Authorised at this time and not captured.
    Authorised(i64),
    /// The authorisation was released.
    Voided,
    Captured,
}

/// A refund of the whole amount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Refund {
    pub(crate) id: String,
    pub(crate) created: i64,
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// The failure of the last attempt to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentError {
    pub(crate) failure: Failure,
    pub(crate) charge: Option<String>,
    pub(crate) payment_method: PaymentMethod,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cancellation {
    pub(crate) at: i64,
    pub(crate) reason: Option<String>,
}

impl IntentStatus {
    /// The status in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

impl Charge {
    /// Whether the money went back, or was never taken from a released authorisation.
    pub(crate) fn is_refunded(&self) -> bool {
        self.refund.is_some() || self.state == ChargeState::Voided
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

    /// The fault of its card.
    pub(crate) fn card_fault(&self) -> Option<CardFault> {
        self.payment_method.as_ref().and_then(|method| method.fault)
    }

    /// When the authorisation lapses, if there is one.
    pub(crate) fn lapses_at(&self) -> Option<i64> {
        match self.charge.as_ref()?.state {
            ChargeState::Authorised(at) => Some(at.saturating_add(HOLD_SECONDS)),
            ChargeState::Pending | ChargeState::Failed(_) | ChargeState::Voided | ChargeState::Captured => None,
        }
    }

    /// Whether the authorisation has lapsed and the intent does not show it yet.
    pub(crate) fn is_lapsed(&self, now: Timestamp) -> bool {
        self.lapses_at().is_some_and(|at| now.as_secs() >= at)
    }
}
