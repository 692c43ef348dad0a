//! What every request meets before its handler, and every reply on its way out.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use metrics::{counter, histogram};
use tower_cookies::CookieManagerLayer;
use tracing::{error, info};

use super::ApiError;
use super::error::Cause;
use crate::trace::TraceParent;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// How long a handler may take, the reading of the body included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Gives the routes of a process the manners of this module; to be called once, on all of them together.
pub fn with_manners(routes: Router) -> Router {
    routes
        .fallback(async || ApiError::NotFound)
        .method_not_allowed_fallback(async || ApiError::MethodNotAllowed)
        .layer(CookieManagerLayer::new())
        .layer(middleware::from_fn(manners))
}

/// Names the request, times it, answers for a handler that panics or hangs, and writes the access log.
async fn manners(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&request);
    let trace = request.headers().get(TRACEPARENT).and_then(|value| TraceParent::parse(value.to_str().ok()?));
    let trace = trace.unwrap_or_else(TraceParent::generate);
    let method = request.method().clone();
    // Not the query: secrets travel there.
    let path = request.uri().path().to_owned();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched".into(), |route| route.as_str().to_owned());

    let handler = AssertUnwindSafe(trace.clone().scope(next.run(request))).catch_unwind();
    let mut response = match tokio::time::timeout(REQUEST_TIMEOUT, handler).await {
        Ok(Ok(response)) => response,
        Ok(Err(panic)) => {
            ApiError::internal(format!("the handler panicked: {}", panic_message(&*panic))).into_response()
        }
        Err(_elapsed) => ApiError::unavailable(format!("it took longer than {REQUEST_TIMEOUT:?}")).into_response(),
    };

    let status = response.status();
    let request_id = id.to_str().unwrap_or_default();
    let trace_id = trace.trace_id();
    if let Some(Cause(cause)) = response.extensions_mut().remove() {
        error!(request_id, trace_id, %method, path, status = status.as_u16(), %cause, "request failed");
        response = with_request_id(response, request_id);
    }
    response.headers_mut().insert(REQUEST_ID, id.clone());

    let took = began.elapsed();
    measure(&method, route, status, took);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    info!(request_id, trace_id, %method, path, status = status.as_u16(), micros, "request");
    response
}

/// The client's own name for the request if it is a sane one, else a new one.
fn request_id(request: &Request) -> HeaderValue {
    let is_sane = |value: &&HeaderValue| {
        let sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
        (1..=128).contains(&value.len()) && value.as_bytes().iter().all(sane)
    };
    let brought = request.headers().get(REQUEST_ID).filter(is_sane).cloned();
    let generate = || HeaderValue::try_from(format!("{:032x}", rand::random::<u128>()));
    brought.or_else(|| generate().ok()).unwrap_or(HeaderValue::from_static("none"))
}

/// A 5xx tells its request's id, by which its cause is found in the log, and nothing else.
fn with_request_id(failed: Response, request_id: &str) -> Response {
    let (mut parts, _) = failed.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    let errors = serde_json::json!({"errors": [{"message": "Something went wrong", "requestId": request_id}]});
    (parts, errors.to_string()).into_response()
}

fn measure(method: &Method, route: String, status: StatusCode, took: Duration) {
    // Methods are free text; only those we serve become a label.
    let method = match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        _ => "other",
    };
    let labels = [("method", method.to_owned()), ("route", route), ("status", status.as_u16().to_string())];
    counter!("http_requests_total", &labels).increment(1);
    histogram!("http_request_duration_seconds", &labels).record(took.as_secs_f64());
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
