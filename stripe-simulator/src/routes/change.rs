//! Changing an intent, at most once per idempotency key.

use axum::response::Response;
use common::store::StoreError;

use super::lookup::find_by_path;
use crate::AppState;
use crate::error::StripeError;
use crate::idempotency::RequestIdentity;
use crate::intent::{Action, Intent};
use crate::parameters::StripeRequest;
use crate::reply::{self, Outcome};

/// Handles a request to change the intent in the path. Its only parameter is `expand`.
pub(super) async fn change_by_path(
    app: &AppState,
    id: &str,
    request: StripeRequest,
    action: Action,
) -> Result<Response, StripeError> {
    let StripeRequest { mut parameters, identity } = request;
    let expand = parameters.take_expand()?;
    parameters.finish()?;
    let found = find_by_path(app, id).await?;
    let (intent, outcome) = change(app, found, action, &identity).await?;
    Ok(reply::intent(&intent, expand, outcome))
}

/// Takes the action, or returns the intent as the original request left it if this is a retry.
pub(super) async fn change(
    app: &AppState,
    mut intent: Intent,
    action: Action,
    request: &RequestIdentity,
) -> Result<(Intent, Outcome), StripeError> {
    loop {
        if let Some(replayed) = intent.replay_step(request)? {
            return Ok((replayed, Outcome::Replayed));
        }
        intent.take(action, app.clock.now(), request)?;
        match app.intents.replace(&intent, ()).await {
            Ok(()) => return Ok((intent, Outcome::Executed)),
            // A concurrent request was first. If it has the same key, this one is now a retry.
            Err(StoreError::Conflict) => intent = find_by_path(app, &intent.public_id()).await?,
            Err(error) => return Err(error.into()),
        }
    }
}
