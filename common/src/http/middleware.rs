//! The middleware of every request: its id, its trace, metrics, the access log, and responses to failures.

use std::any::Any;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::http::{self, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use metrics::{counter, histogram};
use tower::ServiceBuilder;
use tower_cookies::CookieManagerLayer;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::{Span, error, error_span, info};

use super::ApiError;
use super::error::Cause;
use crate::error::chain;
use crate::trace::TraceParent;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// How long a handler may take, including reading the body.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Wraps routes in the middleware of this module. Call it once, on all routes of a process together.
pub fn with_middleware(routes: Router) -> Router {
    // The first layer is the outermost.
    let layers = ServiceBuilder::new()
        .map_request(discard_invalid_request_id)
        .layer(SetRequestIdLayer::new(REQUEST_ID, RandomRequestId))
        .layer(middleware::from_fn(observe))
        .map_response(hide_failure)
        .layer(
            TraceLayer::new_for_http()
                .make_span_with(request_span)
                .on_request(())
                .on_response(log_response)
                .on_body_chunk(())
                .on_eos(())
                .on_failure(()),
        )
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(CatchPanicLayer::custom(panicked))
        .map_response(explain_timeout)
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CookieManagerLayer::new());
    routes
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(layers)
}

/// Makes room for a generated id unless the client's is harmless in logs and headers.
fn discard_invalid_request_id(mut request: Request) -> Request {
    let is_valid = |id: &HeaderValue| {
        let is_harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=128).contains(&id.len()) && id.as_bytes().iter().all(is_harmless)
    };
    if request.headers().get(REQUEST_ID).is_some_and(|id| !is_valid(id)) {
        request.headers_mut().remove(REQUEST_ID);
    }
    request
}

/// Generates request ids of 32 hexadecimal digits.
#[derive(Clone, Copy)]
struct RandomRequestId;

impl MakeRequestId for RandomRequestId {
    fn make_request_id<B>(&mut self, _request: &http::Request<B>) -> Option<RequestId> {
        HeaderValue::try_from(format!("{:032x}", rand::random::<u128>())).ok().map(RequestId::new)
    }
}

/// Counts and times the request, and runs it in the client's trace context or a new one.
async fn observe(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = method_label(request.method());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched".into(), |route| route.as_str().to_owned());
    let trace = request.headers().get(TRACEPARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
    let response = trace.unwrap_or_else(TraceParent::generate).scope(next.run(request)).await;
    let labels = [("method", method.to_owned()), ("route", route), ("status", response.status().as_u16().to_string())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", &labels).record(began.elapsed().as_secs_f64());
    response
}

/// Clients may send any method; only those we serve become a label.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

/// At error level, so that every log line that passes the filter carries its fields.
fn request_span(request: &Request) -> Span {
    let id = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let trace = TraceParent::current();
    error_span!(
        "request",
        request_id = id,
        trace_id = trace.as_ref().map(|trace| display(trace.trace_id())),
        method = %request.method(),
        // Without the query, which may hold secrets.
        path = request.uri().path(),
    )
}

/// Writes the access log, and the cause of a failure.
fn log_response<B>(response: &http::Response<B>, took: Duration, _span: &Span) {
    let status = response.status();
    if status.is_server_error() {
        let cause = response.extensions().get().map_or_else(|| "unknown".to_owned(), |Cause(cause)| chain(&**cause));
        error!(status = status.as_u16(), cause, "request failed");
    }
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    info!(status = status.as_u16(), micros, "request");
}

/// Replaces the body of a 5xx with one that reveals only the request id, which leads to the cause in the log.
fn hide_failure<B>(response: http::Response<B>) -> Response
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    if !response.status().is_server_error() {
        return response.map(Body::new);
    }
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let request_id = parts.headers.get(REQUEST_ID).and_then(|id| id.to_str().ok());
    let errors = serde_json::json!({"errors": [{"message": "Something went wrong", "requestId": request_id}]});
    let body = Body::from(errors.to_string());
    Response::from_parts(parts, body)
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    ApiError::internal(format!("handler panicked: {text}")).into_response()
}

/// Turns the bare 503 of [`TimeoutLayer`] into an [`ApiError`], with cause and headers.
fn explain_timeout(response: Response) -> Response {
    let has_cause = response.extensions().get::<Cause>().is_some();
    if has_cause || response.status() != StatusCode::SERVICE_UNAVAILABLE {
        return response;
    }
    ApiError::unavailable(format!("handler took longer than {REQUEST_TIMEOUT:?}")).into_response()
}
