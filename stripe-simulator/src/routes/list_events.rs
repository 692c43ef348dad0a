use axum::extract::State;
use axum::response::Response;

use super::find_event::find;
use super::page::limit;
use crate::app::AppState;
use crate::error::StripeError;
use crate::parameters::StripeRequest;
use crate::reply::found;
use crate::view::{self, HasMore};

/// `GET /v1/events`: newest first.
pub(super) async fn list_events(
    State(app): State<AppState>,
    StripeRequest { mut parameters, .. }: StripeRequest,
) -> Result<Response, StripeError> {
    let limit = limit(&mut parameters)?;
    let kind = parameters.take("type");
    let cursor = parameters.take("starting_after");
    parameters.finish()?;
    let (mut events, mut after) = (Vec::new(), None);
    if let Some(id) = cursor {
        let missing = || StripeError::no_such("event", &id, "starting_after");
        let (revision, index) = find(&app, &id).await?.ok_or_else(missing)?;
        after = Some(revision.id);
        let older = revision.events.iter().enumerate().take(index).rev();
        events.extend(older.map(|(index, event)| view::event(&revision, index, event)));
    }
    let is_wanted = |kind_of: &str| kind.as_deref().is_none_or(|kind| kind == kind_of);
    events.retain(|event| event["type"].as_str().is_some_and(is_wanted));
    while events.len() <= limit {
        let batch = app.journal.newest(after).await?;
        let Some(last) = batch.last() else { break };
        after = Some(last.id);
        for revision in &batch {
            let newest = revision.events.iter().enumerate().rev().filter(|(_, event)| is_wanted(&event.kind));
            events.extend(newest.map(|(index, event)| view::event(revision, index, event)));
        }
    }
    let has_more = if events.len() > limit { HasMore::Yes } else { HasMore::No };
    events.truncate(limit);
    Ok(found(view::list("/v1/events", events, has_more)))
}
