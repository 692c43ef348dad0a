//! Error responses, in the format and words of <https://docs.stripe.com/api/errors>.

use std::error::Error;

use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use common::error::chain;
use common::store::StoreError;
use serde::Serialize;
use serde_json::{Value, json};
use tracing::error;

use crate::idempotency::KeyInUse;
use crate::intent::{Intent, IntentStatus};
use crate::lifecycle::{Action, Refusal};
use crate::reply::Reply;
use crate::view::{self, Expand};

/// An error response.
#[derive(Debug, Serialize)]
pub(crate) struct StripeError {
    #[serde(skip)]
    status: StatusCode,
    /// Whether the request was refused for its parameters, before it was executed.
    #[serde(skip)]
    is_validation: bool,
    #[serde(rename = "type")]
    kind: ErrorType,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_intent: Option<Box<Value>>,
}

#[derive(Clone, Copy, Debug, Serialize)]
enum ErrorType {
    #[serde(rename = "api_error")]
    Api,
    #[serde(rename = "idempotency_error")]
    Idempotency,
    #[serde(rename = "invalid_request_error")]
    InvalidRequest,
}

impl StripeError {
    fn invalid(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            is_validation: false,
            kind: ErrorType::InvalidRequest,
            code: None,
            message: message.into(),
            param: None,
            payment_intent: None,
        }
    }

    fn code(self, code: &'static str) -> Self {
        Self { code: Some(code), ..self }
    }

    fn param(self, param: &str) -> Self {
        Self { param: Some(param.to_owned()), ..self }
    }

    fn validation(self) -> Self {
        Self { is_validation: true, ..self }
    }

    fn status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(crate) fn no_key() -> Self {
        Self::invalid(
            "You did not provide an API key. You need to provide your API key in the Authorization header, using \
             Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY'). See https://stripe.com/docs/api#authentication \
             for details, or we can help at https://support.stripe.com/.",
        )
        .status(StatusCode::UNAUTHORIZED)
    }

    /// Shows only the beginning of the key, as Stripe does.
    pub(crate) fn invalid_key(key: &str) -> Self {
        let beginning: String = key.chars().take(8).collect();
        Self::invalid(format!("Invalid API Key provided: {beginning}****")).status(StatusCode::UNAUTHORIZED)
    }

    pub(crate) fn unrecognised(method: &Method, uri: &Uri) -> Self {
        let path = uri.path();
        Self::invalid(format!(
            "Unrecognized request URL ({method}: {path}). Please see https://stripe.com/docs or we can help at \
             https://support.stripe.com/."
        ))
        .status(StatusCode::NOT_FOUND)
    }

    pub(crate) fn not_a_form() -> Self {
        Self::invalid("Invalid request: the body must be application/x-www-form-urlencoded").validation()
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}.")).code("parameter_missing").param(param).validation()
    }

    pub(crate) fn unknown_parameter(param: &str) -> Self {
        let message = format!("Received unknown parameter: {param}");
        Self::invalid(message).code("parameter_unknown").param(param).validation()
    }

    pub(crate) fn invalid_value(param: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).param(param).validation()
    }

    /// Like [`invalid_value`](Self::invalid_value), with a code.
    pub(crate) fn invalid_as(code: &'static str, param: &str, message: impl Into<String>) -> Self {
        Self::invalid_value(param, message).code(code)
    }

    pub(crate) fn no_such(kind: &str, id: &str, param: &str) -> Self {
        Self::invalid(format!("No such {kind}: '{id}'")).code("resource_missing").param(param)
    }

    /// Like [`no_such`](Self::no_such), for an object named in the path.
    pub(crate) fn not_found(kind: &str, id: &str, param: &str) -> Self {
        Self::no_such(kind, id, param).status(StatusCode::NOT_FOUND)
    }

    /// Logs the error, which the response does not reveal.
    fn internal(error: &(dyn Error + 'static)) -> Self {
        error!(error = chain(error), "request failed");
        Self::simulated()
    }

    /// The response of a simulated failure.
    pub(crate) fn simulated() -> Self {
        let api = Self::invalid("Something went wrong on Stripe's end.").status(StatusCode::INTERNAL_SERVER_ERROR);
        Self { kind: ErrorType::Api, ..api }
    }

    pub(crate) fn rate_limited() -> Self {
        Self::invalid(
            "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
        )
        .code("rate_limit")
        .status(StatusCode::TOO_MANY_REQUESTS)
    }

    pub(crate) fn lock_timeout() -> Self {
        Self::invalid(
            "This object cannot be accessed right now because another API request or Stripe process is currently \
             accessing it. If you see this error intermittently, retry the request. If you see this error frequently \
             and are making multiple concurrent requests to a single object, make your requests serially or at a \
             lower rate. For more details, see https://stripe.com/docs/rate-limits#object-lock-timeouts.",
        )
        .code("lock_timeout")
        .status(StatusCode::CONFLICT)
    }

    pub(crate) fn token_used() -> Self {
        const PARAM: &str = "payment_method_data[card][token]";
        let message = "You cannot use a Stripe token more than once.";
        Self::invalid(message).code("token_already_used").param(PARAM)
    }

    pub(crate) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
             using a key other than '{key}' if you meant to execute a different request."
        );
        Self { kind: ErrorType::Idempotency, ..Self::invalid(message) }
    }

    /// For a creation; for an intent see [`Refusal::NoPaymentMethod`].
    pub(crate) fn no_payment_method() -> Self {
        Self::invalid(NO_PAYMENT_METHOD).code("payment_intent_unexpected_state").param("payment_method").validation()
    }

    /// Whether it is stored under the request's idempotency key.
    pub(crate) fn is_stored(&self) -> bool {
        let is_transient =
            matches!(self.status, StatusCode::UNAUTHORIZED | StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS);
        !self.is_validation && !is_transient
    }

    /// The response.
    pub(crate) fn reply(&self) -> Reply {
        Reply::new(self.status, &json!({"error": self}))
    }

    fn unexpected_state(message: impl Into<String>, intent: &Intent) -> Self {
        let error = Self::invalid(message).code("payment_intent_unexpected_state");
        Self { payment_intent: Some(Box::new(view::intent(intent, Expand::Nothing))), ..error }
    }
}

const NO_PAYMENT_METHOD: &str = "You cannot confirm this PaymentIntent because it's missing a payment method. You can \
                                 either update the PaymentIntent with a payment method and then confirm it again, or \
                                 confirm it again directly with a payment method or ConfirmationToken.";

fn refused_action(action: Action, intent: &Intent) -> String {
    let status = intent.status;
    let name = status.name();
    match action {
        Action::Capture if status == IntentStatus::Succeeded => {
            "This PaymentIntent could not be captured because it has already been captured.".to_owned()
        }
        Action::Capture => format!(
            "This PaymentIntent could not be captured because it has a status of {name}. Only a PaymentIntent with one \
             of the following statuses may be captured: requires_capture."
        ),
        Action::Cancel => format!(
            "You cannot cancel this PaymentIntent because it has a status of {name}. Only a PaymentIntent with one of \
             the following statuses may be canceled: requires_payment_method, requires_capture, \
             requires_reauthorization, requires_confirmation, requires_action, processing."
        ),
        Action::Confirm if status == IntentStatus::Succeeded => {
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
                .to_owned()
        }
        Action::Confirm => format!(
            "You cannot confirm this PaymentIntent because it has a status of {name}. Only a PaymentIntent with one of \
             the following statuses may be confirmed: requires_confirmation, requires_action."
        ),
        Action::Authenticate
        | Action::FailAuthentication
        | Action::Settle
        | Action::Fail
        | Action::Lapse
        | Action::Dispute => format!("A PaymentIntent with status {name} does not allow this action."),
    }
}

impl From<Refusal> for StripeError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnexpectedStatus { action, intent } => {
                Self::unexpected_state(refused_action(action, &intent), &intent)
            }
            Refusal::NoPaymentMethod(intent) => Self::unexpected_state(NO_PAYMENT_METHOD, &intent),
            Refusal::NothingToRefund(intent) => {
                let id = intent.public_id();
                let message = format!("This PaymentIntent ({id}) does not have a successful charge to refund.");
                Self::unexpected_state(message, &intent)
            }
            Refusal::AlreadyRefunded(charge) => {
                Self::invalid(format!("Charge {charge} has already been refunded.")).code("charge_already_refunded")
            }
            Refusal::Disputed(charge) => {
                let message = format!("The charge {charge} has been charged back; cannot issue a refund.");
                Self::invalid(message).code("charge_disputed")
            }
        }
    }
}

impl From<KeyInUse> for StripeError {
    fn from(KeyInUse(key): KeyInUse) -> Self {
        let message = format!(
            "There is currently another in-progress request using this Stripe-Idempotency-Key (that probably means you \
             submitted twice, and the other request is still going through): {key}. If you want to submit a different \
             request, please use a different Idempotency Key."
        );
        let error = Self::invalid(message).code("idempotency_key_in_use").status(StatusCode::CONFLICT);
        Self { kind: ErrorType::Idempotency, ..error }
    }
}

impl From<StoreError> for StripeError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for StripeError {
    fn into_response(self) -> Response {
        self.reply().into_response()
    }
}
