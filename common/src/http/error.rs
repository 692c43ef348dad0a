//! Failed requests, and the responses to them.

use std::borrow::Cow;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::BoxError;
use crate::store::StoreError;

/// Seconds after which a client may retry a 503.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// Why a request failed. Each service converts its own errors into this one.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// 400: all fields that break their rules.
    #[error("invalid fields")]
    Invalid(Vec<FieldError>),
    /// 400: not possible in the current state, for the reason in the message.
    #[error("{0}")]
    BadRequest(Cow<'static, str>),
    /// 400: the body is not a JSON object.
    #[error("Request body is not valid JSON")]
    NotJson,
    /// 401: no valid session, or the record belongs to another user.
    #[error("Not authorized")]
    NotAuthorized,
    /// 402: the card was declined, with Stripe's message.
    #[error("{0}")]
    Declined(String),
    /// 404: unknown route or record.
    #[error("Not Found")]
    NotFound,
    /// 405: the route does not support the method.
    #[error("Method Not Allowed")]
    MethodNotAllowed,
    /// 408: the client took too long to send the body.
    #[error("Request Timeout")]
    RequestTimeout,
    /// 413: the body is too long.
    #[error("Payload Too Large")]
    PayloadTooLarge,
    /// 415: the content type is not JSON.
    #[error("Expected application/json")]
    NotJsonType,
    /// 429: too many of one thing; the client may retry after this time.
    #[error("Too many requests")]
    TooManyRequests(Duration),
    /// 503: a dependency is down or the service is overloaded; the client may retry.
    #[error("Something went wrong")]
    Unavailable(#[source] BoxError),
    /// 500: a bug.
    #[error("Something went wrong")]
    Internal(#[source] BoxError),
}

/// One error of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// The message for the user.
    pub message: Cow<'static, str>,
    /// The field to blame, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<&'static str>,
}

/// The body of every error response.
#[derive(Serialize)]
struct ErrorBody {
    errors: Vec<FieldError>,
}

/// The cause of a 5xx, which travels in the response's extensions to the log and no further.
#[derive(Clone)]
pub(super) struct Cause(pub(super) Arc<dyn Error + Send + Sync>);

impl ApiError {
    /// 503 with this cause, which is logged but not sent.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// 500 with this cause, which is logged but not sent.
    pub fn internal(cause: impl Into<BoxError>) -> Self {
        Self::Internal(cause.into())
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
            Self::TooManyRequests(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        let error = FieldError { message: self.to_string().into(), field: None };
        let retry_after = match &self {
            Self::TooManyRequests(wait) => Some(HeaderValue::from(wait.as_secs().max(1))),
            Self::Unavailable(_) => Some(RETRY_AFTER),
            _ => None,
        };
        let (errors, cause) = match self {
            Self::Invalid(errors) => (errors, None),
            Self::Unavailable(cause) | Self::Internal(cause) => (vec![error], Some(Cause(cause.into()))),
            _ => (vec![error], None),
        };
        let mut response = (status, Json(ErrorBody { errors })).into_response();
        if let Some(cause) = cause {
            response.extensions_mut().insert(cause);
        }
        if let Some(retry_after) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, retry_after);
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
