use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use common::ids::IntentId;
use common::store::{Query, StoreError};

use crate::AppState;
use crate::card::TestCard;
use crate::error::StripeError;
use crate::intent::{CaptureMethod, Intent};
use crate::parameters::{Expand, Parameters, StripeRequest};
use crate::reply::{Given, created};

/// Stripe's largest amount: eight digits.
const MAX_AMOUNT: u64 = 99_999_999;

/// `POST /v1/payment_intents`: creates an intent and confirms it.
pub(crate) async fn create_intent(
    State(app): State<AppState>,
    StripeRequest { parameters, repetition }: StripeRequest,
) -> Result<Response, StripeError> {
    let order = Order::read(parameters)?;
    let now = app.clock.now();
    let intent = Intent {
        id: IntentId::generate(now),
        version: 0,
        amount: order.amount,
        currency: order.currency,
        capture_method: order.capture_method,
        card: order.card,
        metadata: order.metadata,
        description: order.description,
        created: now.as_secs(),
        idempotency_key: repetition.key.clone(),
        fingerprint: repetition.fingerprint.clone(),
        steps: Vec::new(),
    };
    match app.intents.insert(&intent, ()).await {
        Ok(()) => Ok(created(&intent, order.expand, Given::First)),
        // The key is taken: by this very request, or another.
        Err(StoreError::Duplicate(index)) => {
            let key = repetition.key.as_deref().unwrap_or_default();
            let found = app.intents.find(Query::newest(1).with("idempotencyKey", key)).await?;
            let first = found.first().ok_or(StoreError::Duplicate(index))?;
            first.was_created_by(&repetition)?;
            Ok(created(&first.as_created(), order.expand, Given::Again))
        }
        Err(error) => Err(error.into()),
    }
}

/// What is asked for.
struct Order {
    amount: u64,
    currency: String,
    capture_method: CaptureMethod,
    card: TestCard,
    metadata: BTreeMap<String, String>,
    description: Option<String>,
    expand: Expand,
}

impl Order {
    fn read(mut parameters: Parameters) -> Result<Self, StripeError> {
        let amount = amount(&parameters.require("amount")?)?;
        let currency = currency(&parameters.require("currency")?)?;
        if parameters.require("confirm")? != "true" {
            return Err(StripeError::invalid_value("confirm", "Intents must be confirmed when they are created here."));
        }
        let order = Self {
            amount,
            currency,
            capture_method: capture_method(&mut parameters)?,
            card: card(&mut parameters)?,
            metadata: parameters.take_map("metadata"),
            description: parameters.take("description"),
            expand: parameters.take_expand()?,
        };
        // No card here asks for a further step.
        parameters.take_one_of("error_on_requires_action", &["true", "false"])?;
        for (_, kind) in parameters.take_map("payment_method_types") {
            if kind != "card" {
                let message = format!("The payment method type \"{kind}\" is not supported.");
                return Err(StripeError::invalid_value("payment_method_types", message));
            }
        }
        parameters.finish()?;
        Ok(order)
    }
}

fn amount(text: &str) -> Result<u64, StripeError> {
    let amount: u64 =
        text.parse().map_err(|_| StripeError::invalid_value("amount", format!("Invalid integer: {text}")))?;
    match amount {
        0 => Err(StripeError::invalid_value("amount", "This value must be greater than or equal to 1.")),
        1..=MAX_AMOUNT => Ok(amount),
        _ => Err(StripeError::invalid_value("amount", "Amount must be no more than $999,999.99")),
    }
}

fn currency(text: &str) -> Result<String, StripeError> {
    let is_code = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let invalid = || StripeError::invalid_value("currency", format!("Invalid currency: {text}"));
    is_code.then(|| text.to_ascii_lowercase()).ok_or_else(invalid)
}

fn capture_method(parameters: &mut Parameters) -> Result<CaptureMethod, StripeError> {
    let method = parameters.take_one_of("capture_method", &["automatic", "automatic_async", "manual"])?;
    Ok(match method.as_deref() {
        Some("manual") => CaptureMethod::Manual,
        Some("automatic") => CaptureMethod::Automatic,
        _ => CaptureMethod::AutomaticAsync,
    })
}

fn card(parameters: &mut Parameters) -> Result<TestCard, StripeError> {
    const TOKEN: &str = "payment_method_data[card][token]";
    if let Some(name) = parameters.take("payment_method") {
        let unknown = || StripeError::no_such("PaymentMethod", &name, "payment_method");
        return TestCard::by_payment_method(&name).ok_or_else(unknown);
    }
    parameters.require("payment_method_data[type]")?;
    let token = parameters.require(TOKEN)?;
    TestCard::by_token(&token).ok_or_else(|| StripeError::no_such("token", &token, TOKEN))
}
