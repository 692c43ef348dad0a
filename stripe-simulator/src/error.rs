//! Error responses, in the format and words of <https://docs.stripe.com/api/errors>.

use std::error::Error;

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use common::error::chain;
use common::store::StoreError;
use serde::Serialize;
use serde_json::Value;
use tracing::error;

use crate::idempotency::KeyReused;
use crate::intent::{Action, Intent, IntentStatus, TransitionError};
use crate::view::{Expand, IntentView, status_name};

/// An error response.
#[derive(Debug, Serialize)]
pub(crate) struct StripeError {
    #[serde(skip)]
    status: StatusCode,
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
        Self::invalid("Invalid request: the body must be application/x-www-form-urlencoded")
    }

    pub(crate) fn missing(param: &str) -> Self {
        Self::invalid(format!("Missing required param: {param}.")).code("parameter_missing").param(param)
    }

    pub(crate) fn unknown_parameter(param: &str) -> Self {
        Self::invalid(format!("Received unknown parameter: {param}")).code("parameter_unknown").param(param)
    }

    pub(crate) fn invalid_value(param: &str, message: impl Into<String>) -> Self {
        Self::invalid(message).param(param)
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
        let api = Self::invalid("Something went wrong on Stripe's end.").status(StatusCode::INTERNAL_SERVER_ERROR);
        Self { kind: ErrorType::Api, ..api }
    }

    fn unexpected_state(action: Action, intent: &Intent) -> Self {
        let error = Self::invalid(invalid_status(action, intent)).code("payment_intent_unexpected_state");
        match serde_json::to_value(IntentView::new(intent, Expand::Nothing)) {
            Ok(view) => Self { payment_intent: Some(Box::new(view)), ..error },
            Err(error) => Self::internal(&error),
        }
    }
}

fn invalid_status(action: Action, intent: &Intent) -> String {
    let status = intent.status();
    let name = status_name(status);
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
        Action::Refund => {
            format!("This PaymentIntent ({}) does not have a successful charge to refund.", intent.public_id())
        }
    }
}

impl From<TransitionError> for StripeError {
    fn from(error: TransitionError) -> Self {
        match error {
            TransitionError::InvalidStatus { action, intent } => Self::unexpected_state(action, &intent),
            TransitionError::AlreadyRefunded { charge_id } => {
                Self::invalid(format!("Charge {charge_id} has already been refunded.")).code("charge_already_refunded")
            }
        }
    }
}

impl From<KeyReused> for StripeError {
    fn from(KeyReused(key): KeyReused) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
             using a key other than '{key}' if you meant to execute a different request."
        );
        Self { kind: ErrorType::Idempotency, ..Self::invalid(message) }
    }
}

impl From<StoreError> for StripeError {
    fn from(error: StoreError) -> Self {
        Self::internal(&error)
    }
}

impl IntoResponse for StripeError {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Body {
            error: StripeError,
        }
        (self.status, Json(Body { error: self })).into_response()
    }
}
