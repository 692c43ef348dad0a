//! A local stand-in for Stripe's HTTP API, for trying the system and for testing it. No real money moves.
//!
//! It does what Stripe's API reference (<https://docs.stripe.com/api>) says of these endpoints, form-encoded in and
//! JSON out:
//!
//! - `POST /v1/payment_intents`: `amount`, `currency`, `payment_method=pm_card_visa` or
//!   `payment_method_data[type]=card` with `payment_method_data[card][token]=tok_visa`, `confirm=true`,
//!   `capture_method`, `metadata[…]`, `expand[]=latest_charge`
//! - `GET /v1/payment_intents/{id}`, `POST …/capture`, `POST …/cancel`, `POST /v1/refunds` (`payment_intent`)
//! - authentication by any secret test key (`sk_test_…`), as Bearer token or as the name of Basic
//! - `Idempotency-Key`: a repeated request gets the first one's reply, marked `Idempotent-Replayed: true`; the same key
//!   with other parameters is an `idempotency_error`
//! - the test cards of <https://docs.stripe.com/testing> in `card.rs`, with their declines
//!
//! What it does not do: intents are confirmed when they are created, captured and refunded whole; there are no
//! customers, no webhooks, no 3-D Secure, no fees and no smallest amount. A parameter it does not know is refused as
//! Stripe refuses unknown ones, so nothing is ignored silently. All keys see one account. An idempotency key is kept
//! for good, with the intent it acted on: its reuse for another intent is found out for creations alone, and requests
//! that fail without changing anything are judged anew.
//!
//! What was answered survives a crash: a reply leaves after its write is durable, and a key is stored in the same write
//! as what was done under it, so no crash makes two intents of one key.

mod authentication;
mod card;
mod error;
mod intent;
mod parameters;
mod reply;
mod routes;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use common::clock::Clock;
use common::http::serve;
use common::store::{Collection, Database, Entity, Schema};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use intent::Intent;

/// What the simulator stores.
pub const SCHEMAS: &[&Schema] = &[Intent::SCHEMA];

/// What every handler works with.
#[derive(Clone)]
struct AppState {
    intents: Collection<Intent>,
    clock: Arc<dyn Clock>,
}

/// The API on this database, which must know [`SCHEMAS`].
pub fn routes(database: &Database) -> Router {
    let app = AppState { intents: database.collection(), clock: database.clock().clone() };
    Router::new()
        .route("/v1/payment_intents", post(routes::create_intent))
        .route("/v1/payment_intents/{id}", get(routes::find_intent))
        .route("/v1/payment_intents/{id}/capture", post(routes::capture_intent))
        .route("/v1/payment_intents/{id}/cancel", post(routes::cancel_intent))
        .route("/v1/refunds", post(routes::create_refund))
        .fallback(routes::unrecognised)
        .method_not_allowed_fallback(routes::unrecognised)
        .layer(middleware::from_fn(authentication::require_key))
        .with_state(app)
}

/// Serves the API at this address until the process ends, and returns the address; port 0 lets the operating system
/// choose.
pub async fn start(database: &Database, address: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, routes(database), CancellationToken::new()));
    Ok(address)
}
