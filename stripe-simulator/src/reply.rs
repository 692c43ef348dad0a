//! Successful and declined responses.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::intent::Intent;
use crate::view::{DeclinedView, Expand, IntentView, RefundView};

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Whether a request was executed or was a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Executed,
    Replayed,
}

/// Replies to a creation: with the intent, or with the card error if the card was declined.
pub(crate) fn created(intent: &Intent, expand: Expand, outcome: Outcome) -> Response {
    match intent.card.decline() {
        None => self::intent(intent, expand, outcome),
        Some(decline) => reply(StatusCode::PAYMENT_REQUIRED, &DeclinedView::new(intent, decline), outcome),
    }
}

pub(crate) fn intent(intent: &Intent, expand: Expand, outcome: Outcome) -> Response {
    reply(StatusCode::OK, &IntentView::new(intent, expand), outcome)
}

pub(crate) fn refund(intent: &Intent, outcome: Outcome) -> Response {
    reply(StatusCode::OK, &RefundView::new(intent), outcome)
}

fn reply(status: StatusCode, body: &impl Serialize, outcome: Outcome) -> Response {
    let mut response = (status, Json(body)).into_response();
    if outcome == Outcome::Replayed {
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}
