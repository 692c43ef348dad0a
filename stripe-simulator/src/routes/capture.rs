use axum::extract::{Path, State};
use axum::response::Response;

use super::change::change_by_path;
use crate::AppState;
use crate::error::StripeError;
use crate::intent::Action;
use crate::parameters::StripeRequest;

/// `POST /v1/payment_intents/{id}/capture`: captures the whole authorised amount.
pub(crate) async fn capture_intent(
    State(app): State<AppState>,
    Path(id): Path<String>,
    request: StripeRequest,
) -> Result<Response, StripeError> {
    change_by_path(&app, &id, request, Action::Capture).await
}
