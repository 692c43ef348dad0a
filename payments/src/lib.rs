//! The payments service: attempts to pay for orders, and the money that follows what becomes of them.
//!
//! It owns the payments, and copies what it must know of the orders. People pay by HTTP (`routes`); the orders
//! service alone decides whether a purchase stands, and its events capture, void or refund (`listeners`).
//! Stripe is reached through [`gateway`].
//!
//! An attempt is on record before Stripe hears of it, and every request to Stripe carries an idempotency key made of
//! the attempt's id, so each step can be repeated until its outcome is known (`settlement`).

mod config;
mod error;
pub mod gateway;
mod listeners;
mod order;
mod payment;
mod routes;
mod settlement;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::post;
use common::bus::Listeners;
use common::clock::Clock;
use common::service::Service;
use common::session::Sessions;
use common::store::{Collection, Database, Entity, Schema};

pub use config::StripeConfig;

use gateway::PaymentGateway;
use listeners::{OrderCancelledListener, OrderCompletedListener, OrderCreatedListener};
use order::OrderCopy;
use payment::Payment;

/// What the service stores.
pub const SCHEMAS: &[&Schema] = &[OrderCopy::SCHEMA, Payment::SCHEMA];

/// What every handler, listener and worker works with.
#[derive(Clone)]
struct AppState {
    orders: Collection<OrderCopy>,
    payments: Collection<Payment>,
    gateway: Arc<dyn PaymentGateway>,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
}

impl FromRef<AppState> for Sessions {
    fn from_ref(app: &AppState) -> Self {
        app.sessions.clone()
    }
}

/// The service on this database, which must know [`SCHEMAS`], and with this way to Stripe.
pub fn service(database: &Database, sessions: Sessions, gateway: Arc<dyn PaymentGateway>) -> Service {
    let app = AppState {
        orders: database.collection(),
        payments: database.collection(),
        gateway,
        sessions,
        clock: database.clock().clone(),
    };
    Service::new("payments")
        .routes(router(app.clone()))
        .listeners(listeners(app.clone()))
        .worker(|stop| settlement::settle_unfinished(app, stop))
        .database(database.clone())
}

fn router(app: AppState) -> Router {
    Router::new().route("/api/payments", post(routes::create_payment).get(routes::list_payments)).with_state(app)
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app).on::<OrderCreatedListener>().on::<OrderCancelledListener>().on::<OrderCompletedListener>()
}
