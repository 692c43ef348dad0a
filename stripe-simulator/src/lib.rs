//! A local simulator of Stripe's HTTP API, for trying and testing the system. No real money moves.
//!
//! It follows Stripe's API reference (<https://docs.stripe.com/api>) for these requests, form-encoded in, JSON out:
//!
//! - `POST /v1/payment_intents`: `amount`, `currency`, `payment_method=pm_card_visa` or
//!   `payment_method_data[type]=card` with `payment_method_data[card][token]=tok_visa`, `confirm=true`,
//!   `capture_method`, `metadata[…]`, `description`, `expand[]=latest_charge`
//! - `GET /v1/payment_intents/{id}`, `POST …/capture`, `POST …/cancel`, `POST /v1/refunds` (`payment_intent`)
//! - authentication with any secret test key (`sk_test_…`), as bearer token or as basic user name
//! - `Idempotency-Key`: a retry gets the original reply, marked `Idempotent-Replayed: true`; the same key with other
//!   parameters is an `idempotency_error`
//! - test cards of <https://docs.stripe.com/testing> (see `card.rs`), including declined ones
//!
//! Limits:
//!
//! - Intents are confirmed when created, and captured and refunded in full.
//! - No customers, webhooks, 3-D Secure, fees or minimum amounts.
//! - Unknown parameters are rejected, as Stripe does, so nothing is silently ignored.
//! - All API keys share one account.
//! - Idempotency keys never expire. Reuse is detected between creations and within one intent, not between steps of
//!   different intents. A request that fails without changing anything does not use up its key.
//!
//! Replies survive a crash: each is sent only after its write is durable. The idempotency key is part of that write, so
//! a key never creates two intents.

mod authentication;
mod card;
mod error;
mod idempotency;
mod intent;
mod parameters;
mod reply;
mod routes;
mod view;

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

/// The collections of the simulator.
pub const SCHEMAS: &[&Schema] = &[Intent::SCHEMA];

/// The state shared by all handlers.
#[derive(Clone)]
struct AppState {
    intents: Collection<Intent>,
    clock: Arc<dyn Clock>,
}

/// Creates the API on a database opened with [`SCHEMAS`].
pub fn router(database: &Database) -> Router {
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

/// Serves the API in the background until the process exits. Returns the bound address, with the actual port if it was
/// 0.
pub async fn start(database: &Database, address: SocketAddr) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, router(database), CancellationToken::new()));
    Ok(address)
}
