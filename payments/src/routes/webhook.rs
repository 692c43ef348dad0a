use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::StatusCode;
use common::error::chain;
use common::http::{ApiError, RawBody};
use tracing::warn;

use crate::AppState;
use crate::webhook::{WebhookEvent, receive};

/// `POST /api/payments/webhook`: stores an event of Stripe's.
///
/// Stripe repeats what is not answered with 200, for up to three days.
pub(crate) async fn receive_webhook(
    State(app): State<AppState>,
    headers: HeaderMap,
    RawBody(body): RawBody,
) -> Result<StatusCode, ApiError> {
    let now = app.clock.now();
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok()).unwrap_or_default();
    if let Err(error) = app.secrets.verify(signature, &body, now) {
        warn!(error = chain(&error), "refused a webhook");
        return Err(ApiError::BadRequest("Invalid signature".into()));
    }
    let event = WebhookEvent::parse(&body, now).map_err(|_| ApiError::NotJson)?;
    receive(&app, &event).await?;
    Ok(StatusCode::OK)
}
