use axum::extract::State;
use axum::response::Response;

use super::find::target;
use super::reply::confirmed;
use crate::app::AppState;
use crate::error::StripeError;
use crate::execute::{self, Effect};
use crate::fields;
use crate::lifecycle::{Change, Confirmation};
use crate::parameters::{ObjectId, StripeRequest};

/// `POST /v1/payment_intents/{id}/confirm`: tries to authorise the amount.
pub(super) async fn confirm_intent(
    State(app): State<AppState>,
    ObjectId(id): ObjectId,
    StripeRequest { mut parameters, call }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = fields::expand(&mut parameters, "latest_charge")?;
    let confirmation = fields::confirmation(&mut parameters)?;
    parameters.finish()?;
    execute::change(&app, &call, target(&id), |intent, _, now| {
        let mut change = Change::to(intent);
        change.confirm(&confirmation, now)?;
        Ok(Effect { spent_token: single_use_token(&confirmation), ..confirmed(change, expand) })
    })
    .await
}

fn single_use_token(confirmation: &Confirmation) -> Option<String> {
    confirmation.card.as_ref().and_then(|card| card.single_use.clone())
}
