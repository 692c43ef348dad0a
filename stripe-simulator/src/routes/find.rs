use axum::extract::{Path, State};
use axum::response::Response;

use super::intent_by_path;
use crate::AppState;
use crate::error::StripeError;
use crate::parameters::StripeRequest;
use crate::reply::{Given, intent};

/// `GET /v1/payment_intents/{id}`: an intent as it stands.
pub(crate) async fn find_intent(
    State(app): State<AppState>,
    Path(name): Path<String>,
    StripeRequest { mut parameters, .. }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = parameters.take_expand()?;
    parameters.finish()?;
    Ok(intent(&intent_by_path(&app, &name).await?, expand, Given::First))
}
