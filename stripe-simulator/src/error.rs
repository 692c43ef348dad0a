//! Errors in Stripe's shape and words: <https://docs.stripe.com/api/errors>.

use axum::Json;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use common::store::StoreError;
use serde::Serialize;
use serde_json::Value;

/// Why a request fails.
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

    /// Tells the key's beginning and no more, as Stripe does.
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

    pub(crate) fn no_such(what: &str, name: &str, param: &str) -> Self {
        Self::invalid(format!("No such {what}: '{name}'")).code("resource_missing").param(param)
    }

    /// The same for what the path names.
    pub(crate) fn not_found(what: &str, name: &str, param: &str) -> Self {
        Self::no_such(what, name, param).status(StatusCode::NOT_FOUND)
    }

    pub(crate) fn unexpected_state(message: String, intent: Value) -> Self {
        let error = Self::invalid(message).code("payment_intent_unexpected_state");
        Self { payment_intent: Some(Box::new(intent)), ..error }
    }

    pub(crate) fn already_refunded(charge: &str) -> Self {
        Self::invalid(format!("Charge {charge} has already been refunded.")).code("charge_already_refunded")
    }

    pub(crate) fn other_parameters(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
             using a key other than '{key}' if you meant to execute a different request."
        );
        Self { kind: ErrorType::Idempotency, ..Self::invalid(message) }
    }
}

impl From<StoreError> for StripeError {
    fn from(_: StoreError) -> Self {
        let error = Self::invalid("Something went wrong on Stripe's end.").status(StatusCode::INTERNAL_SERVER_ERROR);
        Self { kind: ErrorType::Api, ..error }
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
