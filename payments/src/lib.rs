//! The payments service: charges cards for orders.
//!
//! It owns the payments and keeps copies of orders. Buyers pay over HTTP (`routes`), which only authorises the card
//! (`pay`). The orders service alone decides whether a purchase stands; its events (`listeners`) begin to capture, void or
//! refund the money. The worker takes these steps (`settlement`), again and again until their outcome is known. Stripe is
//! behind [`stripe`].
//!
//! Each state of a payment is stored before the call of Stripe that follows from it, and a call is repeated only after
//! Stripe's state was read. So each step can be interrupted at any point, and continued at any age.

mod audit;
mod card;
mod config;
mod error;
mod listeners;
pub mod operations;
mod order;
mod pay;
mod payment;
mod routes;
mod settlement;
pub mod stripe;
mod webhook;
mod worker;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::post;
use common::clock::Clock;
use common::listener::Listeners;
use common::records::Records;
use common::replica::Replica;
use common::service::Service;
use common::session::Sessions;
use common::store::{Collection, Database, Entity, Schema};
use tokio::sync::Notify;

pub use audit::{Difference, Drift};
pub use config::StripeConfig;
pub use payment::PaymentStatus;
pub use webhook::WebhookSecrets;

use listeners::{OrderCancelledListener, OrderCompletedListener, OrderCreatedListener, OrderUpdatedListener};
use order::OrderCopy;
use payment::Payment;
use stripe::{Stripe, StripeError};
use webhook::WebhookEvent;
use worker::Work;

/// The collections of the service's database.
pub const SCHEMAS: &[&Schema] = &[OrderCopy::SCHEMA, Payment::SCHEMA, WebhookEvent::SCHEMA];

/// The records that the service owns and announces.
pub const RECORDS: Records = Records::of::<Payment>();

/// The state shared by handlers, listeners and the worker.
#[derive(Clone)]
struct AppState {
    orders: Replica<OrderCopy>,
    payments: Collection<Payment>,
    webhooks: Collection<WebhookEvent>,
    stripe: Stripe,
    secrets: Arc<WebhookSecrets>,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    /// The payments that the worker should settle now.
    work: Arc<Work>,
    /// Wakes the worker when a webhook is stored.
    received: Arc<Notify>,
}

impl AppState {
    fn new(database: &Database, sessions: Sessions, stripe: Stripe, secrets: WebhookSecrets) -> Self {
        Self {
            orders: Replica::new(database),
            payments: database.collection(),
            webhooks: database.collection(),
            stripe,
            secrets: Arc::new(secrets),
            sessions,
            clock: database.clock().clone(),
            work: Arc::default(),
            received: Arc::default(),
        }
    }
}

impl FromRef<AppState> for Sessions {
    fn from_ref(app: &AppState) -> Self {
        app.sessions.clone()
    }
}

/// Creates the service on a database opened with [`SCHEMAS`]. Without secrets there is no route for webhooks.
pub fn service(database: &Database, sessions: Sessions, stripe: Stripe, secrets: WebhookSecrets) -> Service {
    let app = AppState::new(database, sessions, stripe.clone(), secrets);
    Service::new("payments")
        .routes(router(app.clone()))
        .listeners(listeners(app.clone()))
        .worker(|stop| worker::run(app, stop))
        .database(database.clone())
        .announces(RECORDS)
        .check_before_start(move || check_key(stripe))
}

fn router(app: AppState) -> Router {
    let mut routes = Router::new().route("/api/payments", post(routes::create_payment).get(routes::list_payments));
    if !app.secrets.is_empty() {
        routes = routes.route("/api/payments/webhook", post(routes::receive_webhook));
    }
    routes.with_state(app)
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app)
        .on::<OrderCreatedListener>()
        .on::<OrderUpdatedListener>()
        .on::<OrderCancelledListener>()
        .on::<OrderCompletedListener>()
}

/// Fails if Stripe does not accept the key. If Stripe is down the service starts nevertheless.
async fn check_key(stripe: Stripe) -> Result<(), StripeError> {
    match stripe.check_key().await {
        Err(StripeError::Unauthorised) => Err(StripeError::Unauthorised),
        Err(error) => {
            tracing::warn!(error = common::error::chain(&error), "could not check STRIPE_KEY");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
