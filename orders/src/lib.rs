//! The orders service: reservations of tickets and their outcome.
//!
//! It alone decides whether a purchase stands. Buyers order and cancel over HTTP (`routes`); payments and expirations
//! arrive as events (`listeners`). An order whose expiration does not arrive is cancelled all the same (`sweep`).

mod config;
mod error;
mod listeners;
mod order;
mod routes;
mod sweep;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::{get, post};
use common::clock::Clock;
use common::listener::Listeners;
use common::records::Records;
use common::replica::Replica;
use common::service::Service;
use common::session::Sessions;
use common::store::{Collection, Database, Entity, Schema};

pub use config::{CaptureFailure, OrdersConfig};

use listeners::{
    ExpirationCompleteListener, PaymentCreatedListener, PaymentFailedListener, PaymentPendingListener,
    TicketCreatedListener, TicketUpdatedListener,
};
use order::Order;
use ticket::TicketCopy;

/// The collections of the service's database.
pub const SCHEMAS: &[&Schema] = &[Order::SCHEMA, TicketCopy::SCHEMA];

/// The records that the service owns and announces.
pub const RECORDS: Records = Records::of::<Order>();

/// The state shared by handlers and listeners.
#[derive(Clone)]
struct AppState {
    orders: Collection<Order>,
    tickets: Replica<TicketCopy>,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
    /// How long an order reserves its ticket before it expires unpaid.
    reservation: Duration,
    /// What happens to an order whose payment cannot be captured.
    capture_failure: CaptureFailure,
}

impl FromRef<AppState> for Sessions {
    fn from_ref(app: &AppState) -> Self {
        app.sessions.clone()
    }
}

/// Creates the service on a database opened with [`SCHEMAS`].
pub fn service(database: &Database, sessions: Sessions, config: &OrdersConfig) -> Service {
    let app = AppState {
        orders: database.collection(),
        tickets: Replica::new(database),
        sessions,
        clock: database.clock().clone(),
        reservation: Duration::from_secs(config.order_expiration_seconds.into()),
        capture_failure: config.capture_failure,
    };
    Service::new("orders")
        .routes(router(app.clone()))
        .listeners(listeners(app.clone()))
        .worker(|stop| sweep::run(app, stop))
        .database(database.clone())
        .announces(RECORDS)
}

fn router(app: AppState) -> Router {
    Router::new()
        .route("/api/orders", post(routes::create_order).get(routes::list_orders))
        .route("/api/orders/{id}", get(routes::find_order).delete(routes::delete_order))
        .with_state(app)
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app)
        .on::<TicketCreatedListener>()
        .on::<TicketUpdatedListener>()
        .on::<PaymentCreatedListener>()
        .on::<PaymentPendingListener>()
        .on::<PaymentFailedListener>()
        .on::<ExpirationCompleteListener>()
}
