use axum::extract::State;
use axum::response::Response;

use super::page::{Range, limit};
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
    let range = Range::take(&mut parameters)?;
    let after = parameters.take("starting_after");
    let payment_intent = parameters.take("payment_intent");
    parameters.finish()?;
    let mut refunded = match payment_intent {
        Some(id) => {
            let missing = || StripeError::no_such("payment_intent", &id, "payment_intent");
            vec![app.find(&id).await?.ok_or_else(missing)?]
        }
        None => refunded(&app, range, after, limit).await?,
    };
    refunded.retain(|intent| !view::refund(intent).is_null());
    let has_more = if refunded.len() > limit { HasMore::Yes } else { HasMore::No };
    refunded.truncate(limit);
    Ok(found(view::list("/v1/refunds", refunded.iter().map(view::refund).collect(), has_more)))
}

/// The intents that were refunded in the range and before the refund `before`, newest refund first: one more than `limit`,
/// if there are as many.
async fn refunded(
    app: &AppState,
    range: Range,
    mut before: Option<String>,
    limit: usize,
) -> Result<Vec<Intent>, StripeError> {
    let (mut after, mut intents) = (None, Vec::new());
    loop {
        let batch = app.journal.created(Created::Refund, after).await?;
        let Some((last, _)) = batch.last() else { break };
        after = Some(*last);
        for (_, id) in batch {
            let Some(intent) = app.journal.current(id, app.clock.now()).await? else { continue };
            let Some(refund) = intent.charge.as_ref().and_then(|charge| charge.refund.as_ref()) else { continue };
            if before.is_some() {
                before.take_if(|before| *before == refund.id);
            } else if range.contains(refund.created) {
                intents.push(intent);
            }
            if intents.len() > limit {
                return Ok(intents);
            }
        }
    }
    match before {
        Some(unknown) => Err(StripeError::no_such("refund", &unknown, "starting_after")),
        None => Ok(intents),
    }
}
