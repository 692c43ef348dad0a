use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::response::IntoResponse;
use common::session::cookie;
use serde::Serialize;

use crate::AppState;

/// Nothing more to say.
#[derive(Serialize)]
struct SignedOut {}

/// `POST /api/users/signout`: takes the session's cookie away, whether or not there is one.
pub(crate) async fn sign_out(State(app): State<AppState>) -> impl IntoResponse {
    ([(SET_COOKIE, cookie("", Duration::ZERO, app.config.cookie_secure))], Json(SignedOut {}))
}
