use axum::extract::{Path, State};
use axum::response::Response;

use super::{act, intent_by_path};
use crate::AppState;
use crate::error::StripeError;
use crate::intent::Action;
use crate::parameters::StripeRequest;
use crate::reply::intent;

/// `POST /v1/payment_intents/{id}/capture`: takes the authorised money, all of it.
pub(crate) async fn capture_intent(
    State(app): State<AppState>,
    Path(name): Path<String>,
    StripeRequest { mut parameters, repetition }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = parameters.take_expand()?;
    parameters.finish()?;
    let found = intent_by_path(&app, &name).await?;
    let (changed, given) = act(&app, found, Action::Capture, &repetition).await?;
    Ok(intent(&changed, expand, given))
}
