use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use common::clock::Timestamp;
use common::ids::IntentId;
use common::store::{Query, StoreError};

use crate::AppState;
use crate::card::TestCard;
use crate::error::StripeError;
use crate::idempotency::RequestIdentity;
use crate::intent::{CaptureMethod, Intent};
use crate::parameters::{Parameters, StripeRequest};
use crate::reply::{self, Outcome};
use crate::view::Expand;

/// Stripe allows eight digits.
const MAX_AMOUNT: u64 = 99_999_999;

/// `POST /v1/payment_intents`: creates and confirms an intent.
pub(crate) async fn create_intent(
    State(app): State<AppState>,
    StripeRequest { parameters, identity }: StripeRequest,
) -> Result<Response, StripeError> {
    let body = CreateIntent::read(parameters)?;
    let expand = body.expand;
    let intent = body.into_intent(app.clock.now(), &identity);
    match app.intents.insert(&intent, ()).await {
        Ok(()) => Ok(reply::created(&intent, expand, Outcome::Executed)),
        Err(StoreError::Duplicate(index)) => {
            let original = replay_creation(&app, &identity).await?.ok_or(StoreError::Duplicate(index))?;
            Ok(reply::created(&original, expand, Outcome::Replayed))
        }
        Err(error) => Err(error.into()),
    }
}

/// The intent as the request with this key created it. Fails if that was a different request.
async fn replay_creation(app: &AppState, request: &RequestIdentity) -> Result<Option<Intent>, StripeError> {
    let Some(key) = &request.key else { return Ok(None) };
    let found = app.intents.find(Query::newest(1).with("idempotencyKey", key)).await?;
    match found.first() {
        Some(original) => Ok(original.replay_creation(request)?),
        None => Ok(None),
    }
}

struct CreateIntent {
    amount: u64,
    currency: String,
    capture_method: CaptureMethod,
    card: TestCard,
    metadata: BTreeMap<String, String>,
    description: Option<String>,
    expand: Expand,
}

impl CreateIntent {
    fn read(mut parameters: Parameters) -> Result<Self, StripeError> {
        let amount = amount(&parameters.require("amount")?)?;
        let currency = currency(&parameters.require("currency")?)?;
        if parameters.require("confirm")? != "true" {
            return Err(StripeError::invalid_value("confirm", "Intents must be confirmed when they are created here."));
        }
        let body = Self {
            amount,
            currency,
            capture_method: capture_method(&mut parameters)?,
            card: card(&mut parameters)?,
            metadata: parameters.take_map("metadata"),
            description: parameters.take("description"),
            expand: parameters.take_expand()?,
        };
        // Ignored, because no test card here requires an action.
        parameters.take_one_of("error_on_requires_action", &["true", "false"])?;
        for (_, kind) in parameters.take_map("payment_method_types") {
            if kind != "card" {
                let message = format!("The payment method type \"{kind}\" is not supported.");
                return Err(StripeError::invalid_value("payment_method_types", message));
            }
        }
        parameters.finish()?;
        Ok(body)
    }

    fn into_intent(self, now: Timestamp, request: &RequestIdentity) -> Intent {
        Intent {
            id: IntentId::generate(now),
            version: 0,
            amount: self.amount,
            currency: self.currency,
            capture_method: self.capture_method,
            card: self.card,
            metadata: self.metadata,
            description: self.description,
            created: now.as_secs(),
            idempotency_key: request.key.clone(),
            fingerprint: request.fingerprint.clone(),
            steps: Vec::new(),
        }
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
    if let Some(id) = parameters.take("payment_method") {
        let unknown = || StripeError::no_such("PaymentMethod", &id, "payment_method");
        return TestCard::from_payment_method(&id).ok_or_else(unknown);
    }
    parameters.require("payment_method_data[type]")?;
    let token = parameters.require(TOKEN)?;
    TestCard::from_token(&token).ok_or_else(|| StripeError::no_such("token", &token, TOKEN))
}
