//! What a client is told when its request fails.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::chain;
use crate::store::StoreError;

/// Seconds after which a client may try again what a dependency's failure prevented.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request fails. Each service converts its own errors to this at the edge.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: fields that break their rules, all together.
    #[error("invalid fields")]
    Invalid(Vec<FieldError>),
    /// 400: the state of things forbids it; the message says how.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// 400: not JSON, or not an object.
    #[error("Request body is not valid JSON")]
    NotJson,
    /// 401: no valid session, or not the owner.
    #[error("Not authorized")]
    NotAuthorized,
    /// 402: the card is declined; the message is Stripe's.
    #[error("{0}")]
    Declined(String),
    /// 404: no such route or record.
    #[error("Not Found")]
    NotFound,
    /// 405: the route exists, the method does not.
    #[error("Method Not Allowed")]
    MethodNotAllowed,
    /// 408: the client took too long to send its request.
    #[error("Request Timeout")]
    RequestTimeout,
    /// 413: the body is too long.
    #[error("Payload Too Large")]
    PayloadTooLarge,
    /// 415: the body does not say that it is JSON.
    #[error("Expected application/json")]
    NotJsonType,
    /// 503: a dependency is down, or there is too much to do; the client may try again.
    #[error("Something went wrong")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// 500: our mistake.
    #[error("Something went wrong")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// What.
    pub message: Cow<'static, str>,
    /// With which field, if with one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
}

/// The body of every error.
#[derive(Serialize)]
struct ErrorBody {
    errors: Vec<FieldError>,
}

/// Why a reply is a 5xx, for the log alone; travels in the reply's extensions.
#[derive(Clone)]
pub(super) struct Cause(pub(super) Arc<str>);

impl ApiError {
    /// 503, for this reason.
    pub fn unavailable(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(why.into())
    }

    /// 500, for this reason.
    pub fn internal(why: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(why.into())
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::BadRequest(_) | Self::NotJson => StatusCode::BAD_REQUEST,
            Self::NotAuthorized => StatusCode::UNAUTHORIZED,
            Self::Declined(_) => StatusCode::PAYMENT_REQUIRED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotJsonType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let message = self.to_string();
        let cause = self.source().map(|source| Cause(chain(source).into()));
        let errors = match self {
            Self::Invalid(errors) => errors,
            _ => vec![FieldError { message: message.into(), field: None }],
        };
        let mut response = (status, Json(ErrorBody { errors })).into_response();
        if let Some(cause) = cause {
            response.extensions_mut().insert(cause);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Conflict | StoreError::Duplicate(_) | StoreError::Corrupt { .. } | StoreError::Serialise(_) => {
                Self::internal(error)
            }
        }
    }
}
