//! What goes out: JSON in the shape of Stripe's objects.

use std::collections::BTreeMap;

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;

use crate::card::Decline;
use crate::intent::{Action, CaptureMethod, Intent, IntentStatus};
use crate::parameters::Expand;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Whether a reply is given for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    First,
    Again,
}

/// Answers a creation: with the intent, or with the error that its card was declined.
pub(crate) fn created(intent: &Intent, expand: Expand, given: Given) -> Response {
    match intent.card.decline() {
        None => reply(StatusCode::OK, &IntentView::new(intent, expand), given),
        Some(decline) => reply(StatusCode::PAYMENT_REQUIRED, &declined(intent, decline), given),
    }
}

/// Answers with an intent.
pub(crate) fn intent(intent: &Intent, expand: Expand, given: Given) -> Response {
    reply(StatusCode::OK, &IntentView::new(intent, expand), given)
}

/// Answers with the refund of an intent: there is one, of the whole amount.
pub(crate) fn refund(intent: &Intent, given: Given) -> Response {
    let refund = RefundView {
        id: format!("re_{}", intent.id),
        object: "refund",
        amount: intent.amount,
        charge: intent.charge_name(),
        created: intent.done_at(Action::Refund),
        currency: &intent.currency,
        metadata: BTreeMap::new(),
        payment_intent: intent.name(),
        reason: None,
        status: "succeeded",
    };
    reply(StatusCode::OK, &refund, given)
}

/// An intent within an error.
pub(crate) fn intent_value(intent: &Intent, expand: Expand) -> Value {
    // A struct of texts and numbers: there is nothing in it that JSON can not say.
    serde_json::to_value(IntentView::new(intent, expand)).unwrap_or_default()
}

fn reply(status: StatusCode, body: &impl Serialize, given: Given) -> Response {
    let mut response = (status, Json(body)).into_response();
    if given == Given::Again {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

fn declined(intent: &Intent, decline: Decline) -> impl Serialize {
    #[derive(Serialize)]
    struct Body<'a> {
        error: CardErrorView<'a>,
    }
    let error = CardErrorView::new(intent, decline);
    Body { error: CardErrorView { payment_intent: Some(IntentView::new(intent, Expand::Nothing)), ..error } }
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
    fn new(intent: &Intent, decline: Decline) -> Self {
        let Decline { code, decline_code, message } = decline;
        Self {
            charge: intent.charge_name(),
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
            id: payment_method_name(intent),
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

fn payment_method_name(intent: &Intent) -> String {
    format!("pm_{}", intent.id)
}

#[derive(Serialize)]
struct IntentView<'a> {
    id: String,
    object: &'static str,
    amount: u64,
    amount_capturable: u64,
    amount_received: u64,
    canceled_at: Option<i64>,
    cancellation_reason: Option<&'static str>,
    capture_method: CaptureMethod,
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
    status: IntentStatus,
}

/// A charge, told by its id or whole.
#[derive(Serialize)]
#[serde(untagged)]
enum ChargeRef<'a> {
    Id(String),
    Whole(Box<ChargeView<'a>>),
}

impl<'a> IntentView<'a> {
    fn new(intent: &'a Intent, expand: Expand) -> Self {
        let status = intent.status();
        let amount_if = |wanted| if status == wanted { intent.amount } else { 0 };
        let error = intent.card.decline().map(|decline| Box::new(CardErrorView::new(intent, decline)));
        Self {
            id: intent.name(),
            object: "payment_intent",
            amount: intent.amount,
            amount_capturable: amount_if(IntentStatus::RequiresCapture),
            amount_received: amount_if(IntentStatus::Succeeded),
            canceled_at: intent.done_at(Action::Cancel),
            cancellation_reason: None,
            capture_method: intent.capture_method,
            client_secret: format!("pi_{0}_secret_{0}", intent.id),
            confirmation_method: "automatic",
            created: intent.created,
            currency: &intent.currency,
            description: intent.description.as_deref(),
            // A payment method that failed is not kept.
            payment_method: error.is_none().then(|| payment_method_name(intent)),
            last_payment_error: error,
            latest_charge: match expand {
                Expand::Nothing => ChargeRef::Id(intent.charge_name()),
                Expand::LatestCharge => ChargeRef::Whole(Box::new(ChargeView::new(intent, status))),
            },
            livemode: false,
            metadata: &intent.metadata,
            next_action: None,
            payment_method_types: ["card"],
            status,
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
    fn new(intent: &'a Intent, status: IntentStatus) -> Self {
        let decline = intent.card.decline();
        let captured = status == IntentStatus::Succeeded;
        // Cancelling an authorisation shows as a refund of what was never captured, at Stripe too.
        let refunded = status == IntentStatus::Canceled || intent.done_at(Action::Refund).is_some();
        Self {
            id: intent.charge_name(),
            object: "charge",
            amount: intent.amount,
            amount_captured: if captured { intent.amount } else { 0 },
            amount_refunded: if refunded && decline.is_none() { intent.amount } else { 0 },
            captured,
            created: intent.created,
            currency: &intent.currency,
            failure_code: decline.map(|decline| decline.code),
            failure_message: decline.map(|decline| decline.message),
            livemode: false,
            metadata: &intent.metadata,
            paid: decline.is_none(),
            payment_intent: intent.name(),
            payment_method: payment_method_name(intent),
            payment_method_details: PaymentMethodDetails { card: CardView::new(intent), kind: "card" },
            refunded: refunded && decline.is_none(),
            status: if decline.is_none() { "succeeded" } else { "failed" },
        }
    }
}

#[derive(Serialize)]
struct RefundView<'a> {
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
