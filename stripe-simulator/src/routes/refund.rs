use axum::extract::State;
use axum::response::Response;

use super::change::change;
use super::lookup::find_by_id;
use crate::AppState;
use crate::error::StripeError;
use crate::intent::Action;
use crate::parameters::StripeRequest;
use crate::reply;

/// `POST /v1/refunds`: refunds the whole captured amount.
pub(crate) async fn create_refund(
    State(app): State<AppState>,
    StripeRequest { mut parameters, identity }: StripeRequest,
) -> Result<Response, StripeError> {
    let id = parameters.require("payment_intent")?;
    parameters.finish()?;
    let missing = || StripeError::no_such("payment_intent", &id, "payment_intent");
    let found = find_by_id(&app, &id).await?.ok_or_else(missing)?;
    let (intent, outcome) = change(&app, found, Action::Refund, &identity).await?;
    Ok(reply::refund(&intent, outcome))
}
