//! Delays and faults of API calls, and the headers of all responses.

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use common::ids::IntentId;
use tokio::time::sleep;

use crate::app::AppState;
use crate::error::StripeError;
use crate::execute::{after, before, is};
use crate::fault::{FaultKind, Operation};
use crate::parameters::Found;
use crate::view::API_VERSION;

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// Delays the call, and makes it fail if a test has asked for that.
pub(super) async fn simulate(State(app): State<AppState>, request: Request, next: Next) -> Response {
    let request_id = format!("req_{}", IntentId::generate(app.clock.now()));
    let version = request.headers().get(STRIPE_VERSION).cloned();
    let mut response = respond(&app, &request_id, request, next).await;
    response.headers_mut().extend(HeaderValue::try_from(request_id).ok().map(|id| (REQUEST_ID, id)));
    let version = version.unwrap_or(HeaderValue::from_static(API_VERSION));
    response.headers_mut().insert(STRIPE_VERSION, version);
    response
}

async fn respond(app: &AppState, request_id: &str, mut request: Request, next: Next) -> Response {
    if !app.delay.is_zero() {
        sleep(app.delay).await;
    }
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let operation = operation(request.method(), path);
    let fault = app.faults.of_call(operation);
    if let Some(response) = before(fault).await {
        return response;
    }
    let fails = is(fault, FaultKind::Error) || is(fault, FaultKind::ErrorAfter);
    if fails && request.method() != Method::POST {
        return StripeError::simulated().into_response();
    }
    request.extensions_mut().insert(Found {
        request_id: request_id.to_owned(),
        operation,
        fault: fault.filter(|_| fails),
    });
    after(fault, next.run(request).await)
}

fn operation(method: &Method, path: &str) -> Operation {
    let last = path.rsplit('/').next().unwrap_or_default();
    match (method, last) {
        (&Method::POST, "payment_intents") => Operation::Create,
        (&Method::POST, "confirm") => Operation::Confirm,
        (&Method::POST, "capture") => Operation::Capture,
        (&Method::POST, "cancel") => Operation::Cancel,
        (&Method::POST, "refunds") => Operation::Refund,
        (_, "{id}") => Operation::Retrieve,
        _ => Operation::List,
    }
}
