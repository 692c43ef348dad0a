//! Requests to a service under test, and its replies.

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::env::TestUser;

/// A request under construction.
pub struct TestRequest {
    routes: Router,
    request: Request<Body>,
}

impl TestRequest {
    pub(crate) fn new(routes: Router, method: Method, path: &str) -> Self {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        Self { routes, request }
    }

    /// Adds the user's session cookie.
    pub fn by(self, user: &TestUser) -> Self {
        self.header("cookie", &user.cookie)
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().expect("a header value"));
        self
    }

    /// Sets a JSON body and its content type.
    pub fn json(self, body: &Value) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), "application/json").body(body.to_string())
    }

    /// Sets the body, without a content type.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends the request and reads the whole reply.
    pub async fn send(self) -> Reply {
        let Ok(response): Result<Response, _> = self.routes.oneshot(self.request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("a JSON body") };
        Reply { status: parts.status, headers: parts.headers, body }
    }
}

/// A complete reply.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its JSON body, `Null` if empty.
    pub body: Value,
}

impl Reply {
    /// Asserts the status and returns the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// Asserts an error with this single message, which names no field.
    #[track_caller]
    pub fn expect_error(self, status: u16, message: &str) {
        assert_eq!(self.expect(status), json!({"errors": [{"message": message}]}));
    }

    /// Asserts a 400 with these `(field, message)` pairs, in this order.
    #[track_caller]
    pub fn expect_invalid(self, fields: &[(&str, &str)]) {
        let error = |(field, message): &(&str, &str)| json!({"message": message, "field": field});
        let errors: Vec<Value> = fields.iter().map(error).collect();
        assert_eq!(self.expect(400), json!({ "errors": errors }));
    }
}
