//! The control of the simulator, under `/_simulator`: what people and banks do, and failures. Without authentication.

mod faults;
mod intents;
mod webhooks;

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use common::store::StoreError;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::app::AppState;
use crate::error::StripeError;
use crate::reply::Reply;

/// All control endpoints.
pub(super) fn router() -> Router<AppState> {
    Router::new()
        .route("/_simulator/faults", get(faults::list_faults).post(faults::add_fault).delete(faults::clear_faults))
        .route("/_simulator/payment_intents/{id}/{action}", post(intents::change_intent))
        .route(
            "/_simulator/webhooks",
            get(webhooks::find_endpoint).put(webhooks::set_endpoint).delete(webhooks::remove_endpoint),
        )
        .route("/_simulator/{*path}", any(unknown))
        .method_not_allowed_fallback(unknown)
}

/// Why a control request fails.
enum ControlError {
    Invalid(String),
    NotFound(String),
    Conflict(String),
    Failed(StripeError),
}

impl ControlError {
    fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Self> {
        serde_json::from_slice(body).map_err(|error| Self::Invalid(format!("the body is not valid: {error}")))
    }
}

impl From<StoreError> for ControlError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl IntoResponse for ControlError {
    fn into_response(self) -> Response {
        let (status, message) = match self {
            Self::Invalid(message) => (StatusCode::BAD_REQUEST, message),
            Self::NotFound(message) => (StatusCode::NOT_FOUND, message),
            Self::Conflict(message) => (StatusCode::CONFLICT, message),
            Self::Failed(error) => return error.into_response(),
        };
        Reply::new(status, &json!({"error": {"message": message}})).into_response()
    }
}

async fn unknown() -> ControlError {
    ControlError::NotFound("no such control request: see the documentation of the crate stripe-simulator".to_owned())
}
