//! Starting a session, shared by sign-up and sign-in.

use axum::Json;
use common::http::ApiError;
use common::ids::UserId;
use common::session::session_cookie;
use serde::Serialize;
use tower_cookies::Cookies;

use crate::AppState;
use crate::user::{Email, User};

/// A user as clients see it.
#[derive(Serialize)]
pub(crate) struct UserView {
    id: UserId,
    email: Email,
}

/// Starts a session: sets its cookie and returns its user.
pub(super) fn start_session(app: &AppState, cookies: &Cookies, user: User) -> Result<Json<UserView>, ApiError> {
    let User { id, email, .. } = user;
    let lifetime = app.config.session_lifetime();
    let token = app.sessions.sign(id, email.as_str(), lifetime)?;
    cookies.add(session_cookie(token, lifetime, app.config.cookie_secure));
    Ok(Json(UserView { id, email }))
}
