//! The tickets service: tickets for sale and their reservations.
//!
//! It owns the tickets. Sellers list and edit them over HTTP (`routes`); events of the orders service reserve and release
//! them (`listeners`).

mod error;
mod listeners;
mod reservation;
mod retention;
mod routes;
mod ticket;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::routing::get;
use common::clock::Clock;
use common::listener::Listeners;
use common::records::Records;
use common::service::Service;
use common::session::Sessions;
use common::store::{Collection, Database, Entity, Schema};

use listeners::{OrderCancelledListener, OrderCreatedListener};
use reservation::Reservation;
use ticket::Ticket;

/// The collections of the service's database.
pub const SCHEMAS: &[&Schema] = &[Ticket::SCHEMA, Reservation::SCHEMA];

/// The records that the service owns and announces.
pub const RECORDS: Records = Records::of::<Ticket>();

/// The state shared by handlers and listeners.
#[derive(Clone)]
struct AppState {
    tickets: Collection<Ticket>,
    reservations: Collection<Reservation>,
    sessions: Sessions,
    clock: Arc<dyn Clock>,
}

impl FromRef<AppState> for Sessions {
    fn from_ref(app: &AppState) -> Self {
        app.sessions.clone()
    }
}

/// Creates the service on a database opened with [`SCHEMAS`]. The bus keeps events for the time of `event_retention`, or
/// all of them.
pub fn service(database: &Database, sessions: Sessions, event_retention: Option<Duration>) -> Service {
    let app = AppState {
        tickets: database.collection(),
        reservations: database.collection(),
        sessions,
        clock: database.clock().clone(),
    };
    let service = Service::new("tickets").routes(router(app.clone())).listeners(listeners(app.clone()));
    let service = service.database(database.clone()).announces(RECORDS);
    match event_retention {
        Some(retention) => service.worker(move |stop| retention::run(app, retention, stop)),
        None => service,
    }
}

fn router(app: AppState) -> Router {
    Router::new()
        .route("/api/tickets", get(routes::list_tickets).post(routes::create_ticket))
        .route("/api/tickets/{id}", get(routes::find_ticket).put(routes::update_ticket))
        .with_state(app)
}

fn listeners(app: AppState) -> Listeners<AppState> {
    Listeners::new(app).on::<OrderCreatedListener>().on::<OrderCancelledListener>()
}
