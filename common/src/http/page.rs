//! Pages of a list, newest first: `?limit=50&after=<id>`.

use axum::Json;
use axum::extract::{FromRequestParts, OriginalUri, Query as UrlQuery};
use axum::http::header::{HeaderName, LINK};
use axum::http::request::Parts;
use serde::Deserialize;

use super::{ApiError, FieldError};
use crate::ids::RecordId;
use crate::store::{Entity, Query};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// Extracts the page a client asks for.
pub struct Page<I> {
    path: String,
    limit: usize,
    after: Option<I>,
}

/// A page of a list, with a `Link` to the next one while more remain.
pub type Paged<View> = (Option<[(HeaderName, String); 1]>, Json<Vec<View>>);

#[derive(Deserialize)]
struct Params {
    limit: Option<String>,
    after: Option<String>,
}

impl<S: Send + Sync, I: RecordId> FromRequestParts<S> for Page<I> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let invalid = |message: &'static str, field| FieldError { message: message.into(), field };
        let UrlQuery(params) = UrlQuery::<Params>::from_request_parts(parts, state)
            .await
            .map_err(|_| ApiError::Invalid(vec![invalid("Query is not valid", None)]))?;
        let limit = match params.limit {
            None => Some(DEFAULT_LIMIT),
            Some(text) => text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)),
        };
        let after: Option<Option<I>> = match params.after {
            None => Some(None),
            Some(text) => text.parse().ok().map(Some),
        };
        let path = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |uri| &uri.0).path().to_owned();
        match (limit, after) {
            (Some(limit), Some(after)) => Ok(Self { path, limit, after }),
            (limit, after) => {
                let limit = limit.is_none().then(|| invalid("Limit must be between 1 and 200", Some("limit")));
                let after = after.is_none().then(|| invalid("After must be an id", Some("after")));
                Err(ApiError::Invalid(limit.into_iter().chain(after).collect()))
            }
        }
    }
}

impl<I: RecordId> Page<I> {
    /// Queries this page plus one record, whose presence shows that more remain.
    pub fn query(&self) -> Query<I> {
        Query::newest(self.limit + 1).after(self.after)
    }

    /// Turns the records found by [`query`](Self::query) into the response.
    pub fn respond<T: Entity<Id = I>, View: From<T>>(&self, mut found: Vec<T>) -> Paged<View> {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let last = found.last().filter(|_| more).map(Entity::id);
        let link =
            last.map(|last| [(LINK, format!("<{}?limit={}&after={last}>; rel=\"next\"", self.path, self.limit))]);
        (link, Json(found.into_iter().map(View::from).collect()))
    }
}
