//! Responses.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;

const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The status and body of a response, as stored under an idempotency key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn new(status: StatusCode, body: &Value) -> Self {
        Self { status: status.as_u16(), body: body.to_string() }
    }

    pub(crate) fn ok(body: &Value) -> Self {
        Self::new(StatusCode::OK, body)
    }

    /// Marks the response as that to an earlier request.
    pub(crate) fn into_replayed_response(self) -> Response {
        let mut response = self.into_response();
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        response
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        (status, [(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

/// A successful response to a request that changes nothing.
pub(crate) fn found(body: Value) -> Response {
    Json(body).into_response()
}

/// A response whose connection breaks before its body.
pub(crate) fn broken_connection() -> Response {
    /// Any length: no byte of the body is sent.
    const LENGTH: &str = "1000";
    let error = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the simulator broke the connection");
    let body = Body::from_stream(stream::iter([Err::<Bytes, _>(error)]));
    ([(header::CONTENT_LENGTH, LENGTH), (header::CONTENT_TYPE, "application/json")], body).into_response()
}
