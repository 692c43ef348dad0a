use axum::extract::State;
use axum::response::{IntoResponse, Response};

use crate::app::AppState;
use crate::error::StripeError;
use crate::execute::{Target, after, before, is};
use crate::fault::FaultKind;
use crate::fields;
use crate::parameters::{ObjectId, StripeRequest};
use crate::reply::found;
use crate::view;

/// `GET /v1/payment_intents/{id}`
pub(super) async fn find_intent(
    State(app): State<AppState>,
    ObjectId(id): ObjectId,
    StripeRequest { mut parameters, call }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = fields::expand(&mut parameters, "latest_charge")?;
    // Publishable keys need it; secret keys may send it.
    parameters.take("client_secret");
    parameters.finish()?;
    let intent = app.find(&id).await?.ok_or_else(|| missing(&id))?;
    let fault = app.faults.of_card(intent.card_fault(), call.operation, &id);
    if let Some(response) = before(fault).await {
        return Ok(response);
    }
    if is(fault, FaultKind::Error) || is(fault, FaultKind::ErrorAfter) {
        return Ok(StripeError::simulated().into_response());
    }
    Ok(after(fault, found(view::intent(&intent, expand))))
}

/// The intent with the id in the path.
pub(super) fn target(id: &str) -> Target<'_> {
    Target { id, missing: missing(id) }
}

fn missing(id: &str) -> StripeError {
    StripeError::not_found("payment_intent", id, "intent")
}
