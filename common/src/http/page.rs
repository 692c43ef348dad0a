//! Pages of a list, the newest first: `?limit=50&after=<id>`.

use axum::extract::{FromRequestParts, OriginalUri, Query as UrlQuery};
use axum::http::request::Parts;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::{ApiError, FieldError};
use crate::ids::RecordId;
use crate::store::{Entity, Query};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 200;

/// Extracts which page of a list is asked for.
pub struct Page<I> {
    path: String,
    limit: usize,
    after: Option<I>,
}

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
    /// Asks for this page, and for one more, which tells whether more remain.
    pub fn query(&self) -> Query<I> {
        Query::newest(self.limit + 1).after(self.after)
    }

    /// Answers with what [`query`](Self::query) found, and with a link to the next page while more remain.
    pub fn respond<T, View>(&self, mut found: Vec<T>) -> Response
    where
        T: Entity<Id = I>,
        View: From<T> + Serialize,
    {
        let more = found.len() > self.limit;
        found.truncate(self.limit);
        let last = found.last().map(Entity::id);
        let views: Vec<View> = found.into_iter().map(View::from).collect();
        // Views are plain structs: there is nothing in them that JSON can not say.
        let json = serde_json::to_vec(&views).unwrap_or_default();
        let mut response = ([(header::CONTENT_TYPE, "application/json")], json).into_response();
        if let Some(last) = last.filter(|_| more) {
            let link = format!("<{}?limit={}&after={last}>; rel=\"next\"", self.path, self.limit);
            if let Ok(link) = HeaderValue::try_from(link) {
                response.headers_mut().insert(header::LINK, link);
            }
        }
        response
    }
}
