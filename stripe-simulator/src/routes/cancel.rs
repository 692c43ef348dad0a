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

const REASONS: [&str; 4] = ["abandoned", "duplicate", "fraudulent", "requested_by_customer"];

/// `POST /v1/payment_intents/{id}/cancel`: releases the authorised amount.
pub(super) async fn cancel_intent(
    State(app): State<AppState>,
    ObjectId(id): ObjectId,
    StripeRequest { mut parameters, call }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = fields::expand(&mut parameters, "latest_charge")?;
    let reason = parameters.take_one_of("cancellation_reason", &REASONS)?;
    parameters.finish()?;
    execute::change(&app, &call, target(&id), |intent, _, now| {
        let mut change = Change::to(intent);
        change.cancel(reason.clone(), now)?;
        Ok(with_intent(change, expand))
    })
    .await
}
