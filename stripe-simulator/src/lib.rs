//! A local simulator of Stripe's HTTP API, for trying and testing the system. No real money moves.
//!
//! It follows Stripe's API reference (<https://docs.stripe.com/api>) for these requests, form-encoded in, JSON out:
//!
//! - `POST /v1/payment_intents`, `GET /v1/payment_intents`, `GET /v1/payment_intents/{id}`, `POST …/{id}/confirm`,
//!   `…/capture`, `…/cancel`
//! - `POST /v1/refunds`, `GET /v1/refunds`, `GET /v1/events`, `GET /v1/events/{id}`
//! - authentication with any test key (`sk_test_…`, `rk_test_…`), as bearer token or as basic user name;
//!   `sk_test_invalid` is refused
//! - `Idempotency-Key`: see <https://docs.stripe.com/api/idempotent_requests>. Failures are stored too; keys expire
//!   after 24 hours
//! - test cards of <https://docs.stripe.com/testing> as `tok_NAME` or `pm_card_NAME`: `visa`, `mastercard`, `amex`,
//!   `unknownBrand`, `chargeDeclined`, `chargeDeclinedInsufficientFunds`, `chargeDeclinedExpiredCard`,
//!   `threeDSecure2Required`, `authenticationRequired`, `processing`, `createDispute`. Two forms are the simulator's
//!   own: a token `tok_NAME_once_ANYTHING` works once, and `visa_OPERATION_FAULT` makes the first call of that operation
//!   on its intent fail
//!
//! # Control
//!
//! Under `/_simulator`, JSON in and out, without a key:
//!
//! - `POST /faults` with `operation` (`create`, `confirm`, `capture`, `cancel`, `refund`, `retrieve`, `list`, `any`),
//!   `fault` and optionally `skip`, `times`, `everyNth`, `delayMs` makes coming calls fail. `GET` lists the rules,
//!   `DELETE` removes them. Rules end with the process. The faults: `error` (500, no work), `errorAfter` (work, then
//!   500), `lostResponse` (work, then the connection breaks), `closed` (the connection breaks), `rateLimited` (429),
//!   `conflict` (409), `delay`
//! - `POST /payment_intents/{id}/{action}` does what a person or a bank does: `authenticate`, `fail_authentication`,
//!   `settle`, `fail`, `cancel`, `capture`, `refund`, `dispute`, `lapse`
//! - `PUT /webhooks` with `url`, `secret` and optionally `delayMs`, `copies`, `order` (`oldest`, `newest`), `paused`
//!   sets where events are delivered to. `GET` shows it, `DELETE` removes it
//!
//! # Limits
//!
//! - Payments are captured and refunded in full. No customers, payouts or fees.
//! - Only cards, which never redirect, so that `return_url` is accepted and not required.
//! - Unknown parameters are rejected, as Stripe does, so nothing is silently ignored.
//! - All API keys share one account. The minimum amount is that of US dollars.
//! - Events happen when the simulator notices: that an authorisation lapsed, when its intent is next read.
//! - One process at a time may use a database.
//!
//! Replies survive a crash: each is sent only after its write is durable. A change, its events, the idempotency key and
//! the reply are one write, so that a key never has two effects.

mod app;
mod authentication;
mod card;
mod error;
mod execute;
mod fault;
mod fields;
mod idempotency;
mod intent;
mod journal;
mod lifecycle;
mod parameters;
mod reply;
mod revision;
mod routes;
mod view;
mod webhooks;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use common::http::serve;
use common::store::{Database, Entity, Schema};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use app::AppState;
use revision::Revision;
use webhooks::StoredEndpoint;

pub use webhooks::{Endpoint, EndpointError, Order, sign};

/// The collections of the simulator.
pub const SCHEMAS: &[&Schema] = &[Revision::SCHEMA, StoredEndpoint::SCHEMA];

/// What can be set when the simulator starts.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Delays each API call.
    pub delay: Duration,
    /// Replaces the stored webhook endpoint.
    pub webhook: Option<Endpoint>,
}

/// Creates the API on a database opened with [`SCHEMAS`]. It delivers no events.
pub fn router(database: &Database) -> Router {
    routes::router(AppState::new(database, Duration::ZERO))
}

/// Like [`start_with`], with the default settings.
pub async fn start(database: &Database, address: SocketAddr) -> io::Result<SocketAddr> {
    start_with(database, address, Settings::default()).await
}

/// Serves the API and delivers events in the background until the process exits. Returns the bound address, with the
/// actual port if it was 0.
pub async fn start_with(database: &Database, address: SocketAddr, settings: Settings) -> io::Result<SocketAddr> {
    let app = AppState::new(database, settings.delay);
    if let Some(endpoint) = settings.webhook {
        app.journal.endpoints().set(Some(endpoint)).await.map_err(io::Error::other)?;
    }
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tokio::spawn(webhooks::deliver(app.journal.clone(), app.clock.clone()));
    tokio::spawn(serve(listener, routes::router(app), CancellationToken::new()));
    Ok(address)
}
