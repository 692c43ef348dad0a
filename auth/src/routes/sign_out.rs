use axum::Json;
use axum::extract::State;
use common::session::expired_cookie;
use serde::Serialize;
use tower_cookies::Cookies;

use crate::AppState;

/// An empty object.
#[derive(Serialize)]
pub(crate) struct SignedOut {}

/// `POST /api/users/signout`: clears the session cookie, signed in or not.
pub(crate) async fn sign_out(State(app): State<AppState>, cookies: Cookies) -> Json<SignedOut> {
    cookies.add(expired_cookie(app.config.cookie_secure));
    Json(SignedOut {})
}
