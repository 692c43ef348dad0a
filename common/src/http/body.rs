//! JSON request bodies.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;
use tokio::time::timeout;
use validator::{Validate, ValidationErrors, ValidationErrorsKind};

use super::{ApiError, FieldError};

/// Longer bodies are refused.
const MAX_BODY: usize = 100 * 1024;

/// How long a client may take to send its body.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Extracts a JSON object and validates its fields.
///
/// `T` is a struct of [`Required`](super::Required) fields whose JSON names are the camelCase form of its own. All
/// invalid fields are reported together, in the order in which the struct declares them.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Validate> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::NotJsonType);
        }
        let RawBody(body) = RawBody::from_request(request, state).await?;
        parse(&body).map(Self)
    }
}

/// Extracts a body as it was received, for example to check its signature.
pub struct RawBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        let body = timeout(BODY_TIMEOUT, read_body(request.into_body())).await;
        body.map_err(|_elapsed| ApiError::RequestTimeout)?.map(Self)
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read_body(mut body: axum::body::Body) -> Result<Bytes, ApiError> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // The connection broke; nobody will read the reply.
        let Ok(data) = frame.map_err(|_| ApiError::NotJson)?.into_data() else { continue };
        if read.len() + data.len() > MAX_BODY {
            return Err(ApiError::PayloadTooLarge);
        }
        read.extend_from_slice(&data);
    }
    Ok(read.freeze())
}

fn parse<T: DeserializeOwned + Validate>(body: &[u8]) -> Result<T, ApiError> {
    let mut declared: &[&str] = &[];
    // Through a map rather than straight into `T`, which would also accept an array and refuse a repeated field.
    let values = serde_json::from_slice(body).map_err(|_| ApiError::NotJson)?;
    let value = T::deserialize(Object { values, declared: &mut declared }).map_err(|_| ApiError::NotJson)?;
    match value.validate() {
        Ok(()) => Ok(value),
        Err(errors) => Err(in_declared_order(errors, declared)),
    }
}

/// Lists one error per invalid field. `validator` keeps them in a hash map under the fields' Rust names.
fn in_declared_order(errors: ValidationErrors, declared: &[&'static str]) -> ApiError {
    let by_rust_name = errors.into_errors().into_iter();
    let mut invalid: HashMap<String, _> = by_rust_name.map(|(name, kind)| (camel_case(&name), kind)).collect();
    let mut errors = Vec::new();
    for field in declared {
        if let Some(ValidationErrorsKind::Field(broken_rules)) = invalid.remove(*field) {
            let first = broken_rules.into_iter().next();
            errors.extend(
                first.map(|rule| FieldError { message: rule.message.unwrap_or(rule.code), field: Some(field) }),
            );
        }
    }
    if invalid.is_empty() {
        ApiError::Invalid(errors)
    } else {
        ApiError::internal("the JSON name of a request body's field is not the camelCase form of its own")
    }
}

fn camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name + &initial.to_uppercase() + rest
    })
}

/// A JSON object that notes which fields the struct read from it declares.
struct Object<'de, 'a> {
    values: HashMap<String, &'de RawValue>,
    declared: &'a mut &'static [&'static str],
}

impl<'de> Deserializer<'de> for Object<'de, '_> {
    type Error = serde_json::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        *self.declared = fields;
        self.deserialize_any(visitor)
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_map(MapDeserializer::new(self.values.into_iter()))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::super::Required;
    use super::*;

    #[derive(Deserialize, Validate)]
    #[serde(rename_all = "camelCase")]
    struct Listing {
        #[validate(required(message = "Title is required"))]
        title: Required<String>,
        #[validate(required(message = "Seats must be a number"))]
        seats: Required<u8>,
        #[validate(required(message = "Doors open must be a number"))]
        doors_open_at: Required<u8>,
    }

    #[track_caller]
    fn read(body: &str) -> (String, u8, u8) {
        let Ok(Listing { title, seats, doors_open_at }) = parse(body.as_bytes()) else { panic!("{body} is invalid") };
        (title.get().unwrap(), seats.get().unwrap(), doors_open_at.get().unwrap())
    }

    #[track_caller]
    fn invalid(body: &str) -> Vec<(Option<&'static str>, String)> {
        match parse::<Listing>(body.as_bytes()) {
            Err(ApiError::Invalid(errors)) => {
                errors.into_iter().map(|error| (error.field, error.message.into_owned())).collect()
            }
            Err(other) => panic!("{body} gave {other:?}"),
            Ok(_) => panic!("{body} is valid"),
        }
    }

    fn title() -> (Option<&'static str>, String) {
        (Some("title"), "Title is required".into())
    }

    fn seats() -> (Option<&'static str>, String) {
        (Some("seats"), "Seats must be a number".into())
    }

    fn doors() -> (Option<&'static str>, String) {
        (Some("doorsOpenAt"), "Doors open must be a number".into())
    }

    #[test]
    fn unknown_fields_are_ignored_and_the_last_of_a_repeated_field_counts() {
        let body = r#"{"seats": 2, "title": "Concert", "more": [1], "doors_open_at": 1, "doorsOpenAt": 18}"#;
        assert_eq!(read(body), ("Concert".into(), 2, 18));
        let body = r#"{"title": 1, "seats": 2, "title": "Concert", "doorsOpenAt": 18, "ti\u0074le": "Opera"}"#;
        assert_eq!(read(body), ("Opera".into(), 2, 18));
        assert_eq!(invalid(r#"{"title": "Concert", "seats": 2, "doorsOpenAt": 18, "seats": "two"}"#), [seats()]);
    }

    #[test]
    fn all_invalid_fields_are_reported_in_declaration_order() {
        assert_eq!(invalid("{}"), [title(), seats(), doors()]);
        assert_eq!(invalid(r#"{"doorsOpenAt": {}, "seats": "two", "title": 1}"#), [title(), seats(), doors()]);
        assert_eq!(invalid(r#"{"doorsOpenAt": 256, "seats": 2, "title": null}"#), [title(), doors()]);
    }

    #[test]
    fn bodies_that_are_not_objects_are_not_json() {
        for body in ["", "{", "[]", "[\"Concert\", 2, 18]", "null", "\"text\"", "{'a': 1}", "{\"a\": 1} x"] {
            assert!(matches!(parse::<Listing>(body.as_bytes()), Err(ApiError::NotJson)), "{body}");
        }
    }

    #[test]
    fn a_field_renamed_by_hand_is_our_mistake() {
        #[derive(Deserialize, Validate)]
        struct Renamed {
            #[serde(rename = "name")]
            #[validate(required(message = "Title is required"))]
            _title: Required<String>,
        }
        assert!(matches!(parse::<Renamed>(b"{}"), Err(ApiError::Internal(_))));
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _outcome = parse::<Listing>(&body);
        }
    }
}
