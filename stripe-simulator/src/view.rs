//! Stripe's JSON objects, rendered from an [`Intent`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::card::Decline;
use crate::intent::{Action, CaptureMethod, Intent, IntentStatus};

/// Which related objects are rendered in full instead of as an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expand {
    Nothing,
    LatestCharge,
}

pub(crate) fn status_name(status: IntentStatus) -> &'static str {
    match status {
        IntentStatus::RequiresPaymentMethod => "requires_payment_method",
        IntentStatus::RequiresCapture => "requires_capture",
        IntentStatus::Succeeded => "succeeded",
        IntentStatus::Canceled => "canceled",
    }
}

fn capture_method_name(method: CaptureMethod) -> &'static str {
    match method {
        CaptureMethod::Automatic => "automatic",
        CaptureMethod::AutomaticAsync => "automatic_async",
        CaptureMethod::Manual => "manual",
    }
}

fn payment_method_id(intent: &Intent) -> String {
    format!("pm_{}", intent.id)
}

#[derive(Serialize)]
pub(crate) struct IntentView<'a> {
    id: String,
    object: &'static str,
    amount: u64,
    amount_capturable: u64,
    amount_received: u64,
    canceled_at: Option<i64>,
    cancellation_reason: Option<&'static str>,
    capture_method: &'static str,
    client_secret: String,
    confirmation_method: &'static str,
    created: i64,
    currency: &'a str,
    description: Option<&'a str>,
    last_payment_error: Option<Box<CardErrorView<'a>>>,
    latest_charge: ChargeRef<'a>,
    livemode: bool,
    metadata: &'a BTreeMap<String, String>,
    next_action: Option<&'static str>,
    payment_method: Option<String>,
    payment_method_types: [&'static str; 1],
    status: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ChargeRef<'a> {
    Id(String),
    Expanded(Box<ChargeView<'a>>),
}

impl<'a> IntentView<'a> {
    pub(crate) fn new(intent: &'a Intent, expand: Expand) -> Self {
        let status = intent.status();
        let amount_if = |wanted| if status == wanted { intent.amount } else { 0 };
        let error = intent.card.decline().map(|decline| Box::new(CardErrorView::new(intent, decline)));
        Self {
            id: intent.public_id(),
            object: "payment_intent",
            amount: intent.amount,
            amount_capturable: amount_if(IntentStatus::RequiresCapture),
            amount_received: amount_if(IntentStatus::Succeeded),
            canceled_at: intent.taken_at(Action::Cancel),
            cancellation_reason: None,
            capture_method: capture_method_name(intent.capture_method),
            client_secret: format!("pi_{0}_secret_{0}", intent.id),
            confirmation_method: "automatic",
            created: intent.created,
            currency: &intent.currency,
            description: intent.description.as_deref(),
            // Stripe detaches a payment method that failed.
            payment_method: error.is_none().then(|| payment_method_id(intent)),
            last_payment_error: error,
            latest_charge: match expand {
                Expand::Nothing => ChargeRef::Id(intent.charge_id()),
                Expand::LatestCharge => ChargeRef::Expanded(Box::new(ChargeView::new(intent))),
            },
            livemode: false,
            metadata: &intent.metadata,
            next_action: None,
            payment_method_types: ["card"],
            status: status_name(status),
        }
    }
}

#[derive(Serialize)]
struct ChargeView<'a> {
    id: String,
    object: &'static str,
    amount: u64,
    amount_captured: u64,
    amount_refunded: u64,
    captured: bool,
    created: i64,
    currency: &'a str,
    failure_code: Option<&'static str>,
    failure_message: Option<&'static str>,
    livemode: bool,
    metadata: &'a BTreeMap<String, String>,
    paid: bool,
    payment_intent: String,
    payment_method: String,
    payment_method_details: PaymentMethodDetails,
    refunded: bool,
    status: &'static str,
}

#[derive(Serialize)]
struct PaymentMethodDetails {
    card: CardView,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl<'a> ChargeView<'a> {
    fn new(intent: &'a Intent) -> Self {
        let status = intent.status();
        let decline = intent.card.decline();
        let paid = decline.is_none();
        let captured = status == IntentStatus::Succeeded;
        // Stripe reports a cancelled authorisation as refunded, although nothing was captured.
        let refunded = paid && (status == IntentStatus::Canceled || intent.taken_at(Action::Refund).is_some());
        Self {
            id: intent.charge_id(),
            object: "charge",
            amount: intent.amount,
            amount_captured: if captured { intent.amount } else { 0 },
            amount_refunded: if refunded { intent.amount } else { 0 },
            captured,
            created: intent.created,
            currency: &intent.currency,
            failure_code: decline.map(|decline| decline.code),
            failure_message: decline.map(|decline| decline.message),
            livemode: false,
            metadata: &intent.metadata,
            paid,
            payment_intent: intent.public_id(),
            payment_method: payment_method_id(intent),
            payment_method_details: PaymentMethodDetails { card: CardView::new(intent), kind: "card" },
            refunded,
            status: if paid { "succeeded" } else { "failed" },
        }
    }
}

/// The body of the response to a declined creation.
#[derive(Serialize)]
pub(crate) struct DeclinedView<'a> {
    error: CardErrorView<'a>,
}

impl<'a> DeclinedView<'a> {
    pub(crate) fn new(intent: &'a Intent, decline: Decline) -> Self {
        let error = CardErrorView::new(intent, decline);
        Self { error: CardErrorView { payment_intent: Some(IntentView::new(intent, Expand::Nothing)), ..error } }
    }
}

#[derive(Serialize)]
struct CardErrorView<'a> {
    charge: String,
    code: &'static str,
    decline_code: &'static str,
    doc_url: String,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_intent: Option<IntentView<'a>>,
    payment_method: PaymentMethodView,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl CardErrorView<'_> {
    /// The error as part of an intent, without the intent itself.
    fn new(intent: &Intent, decline: Decline) -> Self {
        let Decline { code, decline_code, message } = decline;
        Self {
            charge: intent.charge_id(),
            code,
            decline_code,
            doc_url: format!("https://stripe.com/docs/error-codes/{}", code.replace('_', "-")),
            message,
            payment_intent: None,
            payment_method: PaymentMethodView::new(intent),
            kind: "card_error",
        }
    }
}

#[derive(Serialize)]
struct PaymentMethodView {
    id: String,
    object: &'static str,
    card: CardView,
    created: i64,
    livemode: bool,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl PaymentMethodView {
    fn new(intent: &Intent) -> Self {
        Self {
            id: payment_method_id(intent),
            object: "payment_method",
            card: CardView::new(intent),
            created: intent.created,
            livemode: false,
            kind: "card",
        }
    }
}

#[derive(Serialize)]
struct CardView {
    brand: &'static str,
    country: &'static str,
    funding: &'static str,
    last4: &'static str,
}

impl CardView {
    fn new(intent: &Intent) -> Self {
        Self { brand: intent.card.brand(), country: "US", funding: "credit", last4: intent.card.last4() }
    }
}

/// The refund of an intent: there is at most one, of the whole amount.
#[derive(Serialize)]
pub(crate) struct RefundView<'a> {
    id: String,
    object: &'static str,
    amount: u64,
    charge: String,
    created: Option<i64>,
    currency: &'a str,
    metadata: BTreeMap<String, String>,
    payment_intent: String,
    reason: Option<&'static str>,
    status: &'static str,
}

impl<'a> RefundView<'a> {
    pub(crate) fn new(intent: &'a Intent) -> Self {
        Self {
            id: format!("re_{}", intent.id),
            object: "refund",
            amount: intent.amount,
            charge: intent.charge_id(),
            created: intent.taken_at(Action::Refund),
            currency: &intent.currency,
            metadata: BTreeMap::new(),
            payment_intent: intent.public_id(),
            reason: None,
            status: "succeeded",
        }
    }
}
