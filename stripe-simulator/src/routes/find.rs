use axum::extract::{Path, State};
use axum::response::Response;

use super::lookup::find_by_path;
use crate::AppState;
use crate::error::StripeError;
use crate::parameters::StripeRequest;
use crate::reply::{self, Outcome};

/// `GET /v1/payment_intents/{id}`
pub(crate) async fn find_intent(
    State(app): State<AppState>,
    Path(id): Path<String>,
    StripeRequest { mut parameters, .. }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = parameters.take_expand()?;
    parameters.finish()?;
    let intent = find_by_path(&app, &id).await?;
    Ok(reply::intent(&intent, expand, Outcome::Executed))
}
