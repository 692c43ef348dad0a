//! What comes in: bodies of named fields, and ids in paths.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::{ApiError, FieldError};
use crate::ids::RecordId;

/// The longest body that is read.
const MAX_BODY: usize = 100 * 1024;

/// How much of a longer one is thrown away before it is refused, so that a client still sending hears why.
const MAX_DISCARDED: usize = 4 << 20;

/// How long a client may take to send its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// A request body that is read field by field.
pub trait FromFields: Sized {
    /// Reads every field, also after one has failed, so that all failures are reported together in their order.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The fields of a JSON object, and what was found wrong with them.
pub struct Fields<'a> {
    values: HashMap<String, &'a RawValue>,
    errors: Vec<FieldError>,
}

impl Fields<'_> {
    /// Reads a field into its type. One that is missing, of the wrong type, or refused by its type breaks `rule`.
    pub fn read<T: DeserializeOwned>(&mut self, name: &'static str, rule: &'static str) -> Option<T> {
        let value = self.values.get(name).and_then(|raw| serde_json::from_str(raw.get()).ok());
        if value.is_none() {
            self.errors.push(FieldError { message: rule.into(), field: Some(name) });
        }
        value
    }
}

/// Extracts a JSON body.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: FromFields> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJsonType);
        }
        let body = timeout(BODY_TIMEOUT, read_body(request.into_body())).await;
        let body = body.map_err(|_elapsed| ApiError::RequestTimeout)??;
        parse(&body).map(Self)
    }
}

fn parse<T: FromFields>(body: &[u8]) -> Result<T, ApiError> {
    let values = serde_json::from_slice(body).map_err(|_| ApiError::NotJson)?;
    let mut fields = Fields { values, errors: Vec::new() };
    match T::from_fields(&mut fields) {
        Some(value) if fields.errors.is_empty() => Ok(value),
        _ => Err(ApiError::Invalid(fields.errors)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read_body(mut body: axum::body::Body) -> Result<Bytes, ApiError> {
    let mut read = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        // A body that breaks off is no JSON; nobody is there to read the answer anyway.
        let Ok(data) = frame.map_err(|_| ApiError::NotJson)?.into_data() else { continue };
        length += data.len();
        if length <= MAX_BODY {
            read.extend_from_slice(&data);
        } else if length > MAX_DISCARDED {
            break;
        }
    }
    if length > MAX_BODY { Err(ApiError::PayloadTooLarge) } else { Ok(read.freeze()) }
}

/// Extracts the id at the end of a path.
///
/// It never fails: a malformed id is found out by [`known`](Self::known), after session and body have been checked.
pub struct PathId<T>(Option<T>);

impl<T> PathId<T> {
    /// The id, or 404 when it is malformed.
    pub fn known(self) -> Result<T, ApiError> {
        self.0.ok_or(ApiError::NotFound)
    }
}

impl<S: Send + Sync, T: RecordId> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        Ok(Self(text.ok().and_then(|Path(text)| text.parse().ok())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug)]
    struct Listing {
        title: String,
        seats: u8,
    }

    impl FromFields for Listing {
        fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
            let title = fields.read("title", "Title is required");
            let seats = fields.read("seats", "Seats must be a number");
            Some(Self { title: title?, seats: seats? })
        }
    }

    fn wrong(body: &str) -> Vec<Option<&'static str>> {
        match parse::<Listing>(body.as_bytes()) {
            Err(ApiError::Invalid(errors)) => errors.into_iter().map(|error| error.field).collect(),
            other => panic!("{body} gave {other:?}"),
        }
    }

    #[test]
    fn fields_are_read_and_unknown_ones_ignored() {
        let listing: Listing = parse(br#"{"seats": 2, "title": "Concert", "more": [1]}"#).unwrap();
        assert_eq!((listing.title.as_str(), listing.seats), ("Concert", 2));
    }

    #[test]
    fn all_failures_come_together_in_the_order_of_the_fields() {
        assert_eq!(wrong("{}"), [Some("title"), Some("seats")]);
        assert_eq!(wrong(r#"{"seats": "two", "title": 1}"#), [Some("title"), Some("seats")]);
        assert_eq!(wrong(r#"{"seats": 2, "title": null}"#), [Some("title")]);
    }

    #[test]
    fn what_is_no_object_is_no_json_for_us() {
        for body in ["", "{", "[]", "null", "\"text\"", "{'a': 1}", "{\"a\": 1} x"] {
            assert!(matches!(parse::<Listing>(body.as_bytes()), Err(ApiError::NotJson)), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _outcome = parse::<Listing>(&body);
        }
    }
}
