use axum::extract::State;
use axum::response::Response;
use common::store::StoreError;

use crate::app::AppState;
use crate::error::StripeError;
use crate::parameters::{ObjectId, StripeRequest};
use crate::reply::found;
use crate::revision::Revision;
use crate::view;

/// `GET /v1/events/{id}`
pub(super) async fn find_event(
    State(app): State<AppState>,
    ObjectId(id): ObjectId,
    StripeRequest { parameters, .. }: StripeRequest,
) -> Result<Response, StripeError> {
    parameters.finish()?;
    let missing = || StripeError::not_found("event", &id, "id");
    let (revision, index) = find(&app, &id).await?.ok_or_else(missing)?;
    let event = revision.events.get(index).ok_or_else(missing)?;
    Ok(found(view::event(&revision, index, event)))
}

/// The revision of the event with this id, and the event's index in it.
pub(super) async fn find(app: &AppState, id: &str) -> Result<Option<(Revision, usize)>, StoreError> {
    /// The length of a revision's id.
    const SPLIT: usize = 24;
    let parse = || {
        let (revision, index) = id.strip_prefix("evt_")?.split_at_checked(SPLIT)?;
        Some((revision.parse().ok()?, index.parse::<usize>().ok()?))
    };
    let Some((revision, index)) = parse() else { return Ok(None) };
    let revision = app.journal.revision(revision).await?;
    Ok(revision.filter(|revision| index < revision.events.len()).map(|revision| (revision, index)))
}
