use axum::extract::State;
use axum::response::Response;

use super::reply::{confirmed, with_intent};
use crate::app::AppState;
use crate::card::Card;
use crate::error::StripeError;
use crate::execute::{self, Effect};
use crate::fields;
use crate::intent::{CaptureMethod, Redirects, Terms};
use crate::lifecycle::{Change, Confirmation};
use crate::parameters::{Parameters, StripeRequest};
use crate::revision::Created;
use crate::view::Expand;

/// The smallest amount of a US dollar charge.
const MIN_AMOUNT: u64 = 50;

/// Stripe allows eight digits.
const MAX_AMOUNT: u64 = 99_999_999;

/// `POST /v1/payment_intents`: creates an intent, and confirms it if asked to.
pub(super) async fn create_intent(
    State(app): State<AppState>,
    StripeRequest { parameters, call }: StripeRequest,
) -> Result<Response, StripeError> {
    let body = CreateIntent::read(parameters)?;
    let card = body.confirmation.card.as_ref();
    execute::create(&app, &call, card, |id, now| {
        let mut change = Change::create(id, body.terms.clone(), card, now);
        let effect = if body.is_confirmed {
            change.confirm(&body.confirmation_of_attached(), now)?;
            confirmed(change, body.expand)
        } else {
            with_intent(change, body.expand)
        };
        let spent_token = card.and_then(|card| card.single_use.clone());
        Ok(Effect { creates: Some(Created::PaymentIntent), spent_token, ..effect })
    })
    .await
}

struct CreateIntent {
    terms: Terms,
    confirmation: Confirmation,
    is_confirmed: bool,
    expand: Expand,
}

impl CreateIntent {
    fn read(mut parameters: Parameters) -> Result<Self, StripeError> {
        let amount = amount(&parameters.require("amount")?)?;
        let currency = currency(&parameters.require("currency")?)?;
        let is_confirmed = parameters.take_flag("confirm")?;
        for name in ["error_on_requires_action", "off_session"] {
            let is_set = parameters.is_set(name);
            if is_set && !is_confirmed {
                let message = format!("You cannot set `{name}` without `confirm` being true.");
                return Err(StripeError::invalid_value(name, message));
            }
        }
        let body = Self {
            terms: Terms {
                amount,
                currency,
                capture_method: capture_method(&mut parameters)?,
                automatic: automatic(&mut parameters)?,
                metadata: fields::metadata(&mut parameters)?,
                description: parameters.take_text("description", 1000)?,
                statement_descriptor: parameters.take_text("statement_descriptor", 22)?,
                statement_descriptor_suffix: parameters.take_text("statement_descriptor_suffix", 22)?,
            },
            confirmation: fields::confirmation(&mut parameters)?,
            is_confirmed,
            expand: fields::expand(&mut parameters, "latest_charge")?,
        };
        parameters.finish()?;
        if is_confirmed && body.confirmation.card.is_none() {
            return Err(StripeError::no_payment_method());
        }
        Ok(body)
    }

    /// The card is attached when the intent is created.
    fn confirmation_of_attached(&self) -> Confirmation {
        Confirmation { card: None::<Card>, ..self.confirmation.clone() }
    }
}

fn amount(text: &str) -> Result<u64, StripeError> {
    let invalid = || StripeError::invalid_as("parameter_invalid_integer", "amount", format!("Invalid integer: {text}"));
    let amount: i64 = text.parse().map_err(|_| invalid())?;
    let Ok(amount) = u64::try_from(amount) else {
        let message = "This value must be greater than or equal to 1.";
        return Err(StripeError::invalid_as("parameter_invalid_integer", "amount", message));
    };
    match amount {
        MIN_AMOUNT..=MAX_AMOUNT => Ok(amount),
        ..MIN_AMOUNT => Err(StripeError::invalid_as("amount_too_small", "amount", "Amount must be at least $0.50 usd")),
        _ => Err(StripeError::invalid_as("amount_too_large", "amount", "Amount must be no more than $999,999.99")),
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

/// Takes the types of payment methods. Only cards are supported.
fn automatic(parameters: &mut Parameters) -> Result<Option<Redirects>, StripeError> {
    const ENABLED: &str = "automatic_payment_methods[enabled]";
    let types = parameters.take_list("payment_method_types");
    if let Some(kind) = types.iter().find(|kind| *kind != "card") {
        let message = format!("The payment method type \"{kind}\" is not supported.");
        return Err(StripeError::invalid_value("payment_method_types", message));
    }
    let is_given = parameters.is_set(ENABLED);
    let is_enabled = parameters.take_flag(ENABLED)?;
    let redirects = parameters.take_one_of("automatic_payment_methods[allow_redirects]", &["always", "never"])?;
    if redirects.is_some() && !is_given {
        return Err(StripeError::missing(ENABLED));
    }
    if is_enabled && !types.is_empty() {
        let message = "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.";
        return Err(StripeError::invalid_value("payment_method_types", message));
    }
    let is_automatic = if is_given { is_enabled } else { types.is_empty() };
    let redirects = if redirects.as_deref() == Some("never") { Redirects::Never } else { Redirects::Always };
    Ok(is_automatic.then_some(redirects))
}
