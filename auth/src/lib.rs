//! The auth service: accounts and sessions.
//!
//! It owns the users, who sign up, in and out over HTTP (`routes`). A session is a signed token that every service
//! verifies on its own, so no service ever calls this one. It publishes no events and listens to none.

mod config;
mod error;
mod password;
mod routes;
mod user;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};
use common::clock::Clock;
use common::service::Service;
use common::session::Sessions;
use common::store::{Collection, Database, Entity, Schema};

pub use config::AuthConfig;
pub use password::Hasher;
use user::User;

/// The collections of the service's database.
pub const SCHEMAS: &[&Schema] = &[User::SCHEMA];

/// The state shared by handlers.
#[derive(Clone)]
struct AppState {
    users: Collection<User>,
    sessions: Sessions,
    hasher: Hasher,
    config: AuthConfig,
    clock: Arc<dyn Clock>,
}

/// Creates the service on a database opened with [`SCHEMAS`]. It hashes passwords on all cores.
pub fn service(database: &Database, sessions: Sessions, config: AuthConfig) -> Service {
    service_with_hasher(database, sessions, config, Hasher::default())
}

/// Like [`service`], with its own limits on password hashing.
pub fn service_with_hasher(database: &Database, sessions: Sessions, config: AuthConfig, hasher: Hasher) -> Service {
    let app = AppState { users: database.collection(), sessions, hasher, config, clock: database.clock().clone() };
    Service::new("auth").routes(router(app)).database(database.clone())
}

fn router(app: AppState) -> Router {
    Router::new()
        .route("/api/users/signup", post(routes::sign_up))
        .route("/api/users/signin", post(routes::sign_in))
        .route("/api/users/signout", post(routes::sign_out))
        .route("/api/users/currentuser", get(routes::find_current_user))
        .with_state(app)
}
