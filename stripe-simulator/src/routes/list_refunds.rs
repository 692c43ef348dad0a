use axum::extract::State;
use axum::response::Response;

use super::page::limit;
use crate::app::AppState;
use crate::error::StripeError;
use crate::intent::Intent;
use crate::parameters::StripeRequest;
use crate::reply::found;
use crate::revision::Created;
use crate::view::{self, HasMore};

/// `GET /v1/refunds`: newest first.
pub(super) async fn list_refunds(
    State(app): State<AppState>,
    StripeRequest { mut parameters, .. }: StripeRequest,
) -> Result<Response, StripeError> {
    let limit = limit(&mut parameters)?;
    let payment_intent = parameters.take("payment_intent");
    parameters.finish()?;
    let mut refunded = match payment_intent {
        Some(id) => {
            let missing = || StripeError::no_such("payment_intent", &id, "payment_intent");
            vec![app.find(&id).await?.ok_or_else(missing)?]
        }
        None => newest_refunded(&app, limit).await?,
    };
    refunded.retain(|intent| !view::refund(intent).is_null());
    let has_more = if refunded.len() > limit { HasMore::Yes } else { HasMore::No };
    refunded.truncate(limit);
    Ok(found(view::list("/v1/refunds", refunded.iter().map(view::refund).collect(), has_more)))
}

/// The intents that were refunded last: one more than `limit`, if there are as many.
async fn newest_refunded(app: &AppState, limit: usize) -> Result<Vec<Intent>, StripeError> {
    let (mut after, mut intents) = (None, Vec::new());
    loop {
        let batch = app.journal.created(Created::Refund, after).await?;
        let Some((last, _)) = batch.last() else { return Ok(intents) };
        after = Some(*last);
        for (_, id) in batch {
            intents.extend(app.journal.current(id, app.clock.now()).await?);
            if intents.len() > limit {
                return Ok(intents);
            }
        }
    }
}
