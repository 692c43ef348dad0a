use axum::extract::State;
use axum::response::Response;

use super::{act, intent_id};
use crate::AppState;
use crate::error::StripeError;
use crate::intent::Action;
use crate::parameters::StripeRequest;
use crate::reply::refund;

/// `POST /v1/refunds`: gives back what was captured, all of it.
pub(crate) async fn create_refund(
    State(app): State<AppState>,
    StripeRequest { mut parameters, repetition }: StripeRequest,
) -> Result<Response, StripeError> {
    let name = parameters.require("payment_intent")?;
    parameters.finish()?;
    let unknown = || StripeError::no_such("payment_intent", &name, "payment_intent");
    let id = intent_id(&name).ok_or_else(unknown)?;
    let found = app.intents.get(id).await?.ok_or_else(unknown)?;
    let (changed, given) = act(&app, found, Action::Refund, &repetition).await?;
    Ok(refund(&changed, given))
}
