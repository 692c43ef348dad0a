//! The endpoints: one file each.

mod cancel;
mod capture;
mod create;
mod find;
mod refund;

pub(crate) use cancel::cancel_intent;
pub(crate) use capture::capture_intent;
pub(crate) use create::create_intent;
pub(crate) use find::find_intent;
pub(crate) use refund::create_refund;

use axum::http::{Method, Uri};
use common::ids::IntentId;
use common::store::StoreError;

use crate::AppState;
use crate::error::StripeError;
use crate::intent::{Action, Intent};
use crate::parameters::Repetition;
use crate::reply::Given;

/// Every other route.
pub(crate) async fn unrecognised(method: Method, uri: Uri) -> StripeError {
    StripeError::unrecognised(&method, &uri)
}

/// The id of an intent's name, `pi_…`.
fn intent_id(name: &str) -> Option<IntentId> {
    name.strip_prefix("pi_")?.parse().ok()
}

/// The intent that a path names.
async fn intent_by_path(app: &AppState, name: &str) -> Result<Intent, StripeError> {
    let unknown = || StripeError::not_found("payment_intent", name, "intent");
    let id = intent_id(name).ok_or_else(unknown)?;
    app.intents.get(id).await?.ok_or_else(unknown)
}

/// Does something to an intent, once for each idempotency key.
async fn act(
    app: &AppState,
    mut intent: Intent,
    action: Action,
    repetition: &Repetition,
) -> Result<(Intent, Given), StripeError> {
    loop {
        if let Some(then) = intent.replay(repetition)? {
            return Ok((then, Given::Again));
        }
        intent.take_step(action, app.clock.now(), repetition)?;
        match app.intents.replace(&intent, ()).await {
            Ok(()) => return Ok((intent, Given::First)),
            // Another request came first, maybe this one's twin: look again.
            Err(StoreError::Conflict) => intent = intent_by_path(app, &intent.name()).await?,
            Err(error) => return Err(error.into()),
        }
    }
}
