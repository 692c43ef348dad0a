//! The endpoints, one file each.

mod cancel;
mod capture;
mod confirm;
mod control;
mod create;
mod create_refund;
mod find;
mod find_event;
mod list;
mod list_events;
mod list_refunds;
mod page;
mod reply;
mod simulate;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware;
use axum::routing::{get, post};

use crate::app::AppState;
use crate::authentication;
use crate::error::StripeError;

/// All endpoints.
pub(crate) fn router(app: AppState) -> Router {
    Router::new()
        .route("/v1/payment_intents", get(list::list_intents).post(create::create_intent))
        .route("/v1/payment_intents/{id}", get(find::find_intent))
        .route("/v1/payment_intents/{id}/confirm", post(confirm::confirm_intent))
        .route("/v1/payment_intents/{id}/capture", post(capture::capture_intent))
        .route("/v1/payment_intents/{id}/cancel", post(cancel::cancel_intent))
        .route("/v1/refunds", get(list_refunds::list_refunds).post(create_refund::create_refund))
        .route("/v1/events", get(list_events::list_events))
        .route("/v1/events/{id}", get(find_event::find_event))
        .route_layer(middleware::from_fn_with_state(app.clone(), simulate::simulate))
        .fallback(unrecognised)
        .method_not_allowed_fallback(unrecognised)
        .layer(middleware::from_fn(authentication::require_key))
        .merge(control::router())
        .with_state(app)
}

/// Responds to all other paths and methods.
async fn unrecognised(method: Method, uri: Uri) -> StripeError {
    StripeError::unrecognised(&method, &uri)
}
