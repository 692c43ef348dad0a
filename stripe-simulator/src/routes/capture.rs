use axum::extract::State;
use axum::response::Response;

use super::find::target;
use super::reply::with_intent;
use crate::app::AppState;
use crate::error::StripeError;
use crate::execute;
use crate::fields;
use crate::lifecycle::Change;
use crate::parameters::{ObjectId, StripeRequest};

/// `POST /v1/payment_intents/{id}/capture`: captures the whole authorised amount.
pub(super) async fn capture_intent(
    State(app): State<AppState>,
    ObjectId(id): ObjectId,
    StripeRequest { mut parameters, call }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = fields::expand(&mut parameters, "latest_charge")?;
    let amount = parameters.take_number("amount_to_capture")?;
    parameters.finish()?;
    execute::change(&app, &call, target(&id), |intent, _, now| {
        let mut change = Change::to(intent);
        change.capture(now)?;
        fields::expect_whole_amount("amount_to_capture", amount, &change.intent)?;
        Ok(with_intent(change, expand))
    })
    .await
}
