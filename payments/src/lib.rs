//! The payments service: charges cards for orders.
//!
//! It owns the payments and keeps copies of orders. Buyers pay over HTTP (`routes`), which only authorises the card.
//! The orders service alone decides whether a purchase stands; its events capture, void or refund the money
//! (`listeners`). Stripe is behind [`gateway`].
//!
//! A payment is stored before the first request to Stripe, and every request has an idempotency key derived from the
//! payment's id. Each step can therefore be repeated until its outcome is known (`settlement`).

mod card;
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
use common::clock::Clock;
use common::listener::Listeners;
use common::replica::Replica;
use common::service::Service;
use common::session::Sessions;
use common::store::{Collection, Database, Entity, Schema};

pub use config::StripeConfig;

use gateway::PaymentGateway;
use listeners::{OrderCancelledListener, OrderCompletedListener, OrderCreatedListener};
use order::OrderCopy;
use payment::Payment;

/// The collections of the service's database.
pub const SCHEMAS: &[&Schema] = &[OrderCopy::SCHEMA, Payment::SCHEMA];

/// The state shared by handlers, listeners and the worker.
#[derive(Clone)]
struct AppState {
    orders: Replica<OrderCopy>,
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

/// Creates the service on a database opened with [`SCHEMAS`].
pub fn service(database: &Database, sessions: Sessions, gateway: Arc<dyn PaymentGateway>) -> Service {
    let app = AppState {
        orders: Replica::new(database),
        payments: database.collection(),
        gateway,
        sessions,
        clock: database.clock().clone(),
    };
    Service::new("payments")
        .routes(router(app.clone()))
        .listeners(listeners(app.clone()))
        .worker(|stop| settlement::settle_abandoned(app, stop))
        .database(database.clone())
}

fn router(app: AppState) -> Router {
    Router::new().route("/api/payments", post(routes::create_payment).get(routes::list_payments)).with_state(app)
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app).on::<OrderCreatedListener>().on::<OrderCancelledListener>().on::<OrderCompletedListener>()
}
