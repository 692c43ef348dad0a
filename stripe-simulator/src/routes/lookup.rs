//! Finding an intent by the id that a client sends.

use common::store::StoreError;

use crate::AppState;
use crate::error::StripeError;
use crate::intent::Intent;

/// The intent with this `pi_…` id, if it exists.
pub(super) async fn find_by_id(app: &AppState, id: &str) -> Result<Option<Intent>, StoreError> {
    match Intent::parse_public_id(id) {
        Some(id) => app.intents.get(id).await,
        None => Ok(None),
    }
}

/// The intent with the id in the path, or 404.
pub(super) async fn find_by_path(app: &AppState, id: &str) -> Result<Intent, StripeError> {
    find_by_id(app, id).await?.ok_or_else(|| StripeError::not_found("payment_intent", id, "intent"))
}
