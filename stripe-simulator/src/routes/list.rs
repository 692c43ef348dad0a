use axum::extract::State;
use axum::response::Response;
use common::ids::IntentId;

use super::page::{Range, limit};
use crate::app::AppState;
use crate::error::StripeError;
use crate::fields;
use crate::intent::Intent;
use crate::parameters::{Parameters, StripeRequest};
use crate::reply::found;
use crate::revision::Created;
use crate::view::{self, HasMore};

/// `GET /v1/payment_intents`: newest first.
pub(super) async fn list_intents(
    State(app): State<AppState>,
    StripeRequest { mut parameters, .. }: StripeRequest,
) -> Result<Response, StripeError> {
    let expand = fields::expand(&mut parameters, "data.latest_charge")?;
    let limit = limit(&mut parameters)?;
    let range = Range::take(&mut parameters)?;
    let after = cursor(&app, &mut parameters, "starting_after").await?;
    let before = cursor(&app, &mut parameters, "ending_before").await?;
    parameters.finish()?;
    let mut intents = select(&app, range, after, before, limit).await?;
    let has_more = if intents.len() > limit { HasMore::Yes } else { HasMore::No };
    if before.is_some() {
        // The page ends just before the given intent.
        let surplus = intents.len().saturating_sub(limit);
        intents.drain(..surplus);
    } else {
        intents.truncate(limit);
    }
    let data = intents.iter().map(|intent| view::intent(intent, expand)).collect();
    Ok(found(view::list("/v1/payment_intents", data, has_more)))
}

/// The intents in the range between the cursors: one more than `limit`, or all before an intent.
async fn select(
    app: &AppState,
    range: Range,
    mut after: Option<IntentId>,
    before: Option<IntentId>,
    limit: usize,
) -> Result<Vec<Intent>, StripeError> {
    let mut intents = Vec::new();
    loop {
        let batch = app.journal.created(Created::PaymentIntent, after).await?;
        let Some((last, _)) = batch.last() else { return Ok(intents) };
        after = Some(*last);
        for (_, id) in batch {
            if before == Some(id) || (before.is_none() && intents.len() > limit) {
                return Ok(intents);
            }
            let Some(intent) = app.journal.current(id, app.clock.now()).await? else { continue };
            if range.is_after(intent.created) {
                return Ok(intents);
            }
            if range.contains(intent.created) {
                intents.push(intent);
            }
        }
    }
}

async fn cursor(app: &AppState, parameters: &mut Parameters, name: &str) -> Result<Option<IntentId>, StripeError> {
    let Some(id) = parameters.take(name) else { return Ok(None) };
    let intent = app.find(&id).await?.ok_or_else(|| StripeError::no_such("payment_intent", &id, name))?;
    Ok(Some(intent.id))
}
