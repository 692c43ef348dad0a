//! How people sign up, in and out: one file an endpoint.

mod current_user;
mod sign_in;
mod sign_out;
mod sign_up;

pub(crate) use current_user::find_current_user;
pub(crate) use sign_in::sign_in;
pub(crate) use sign_out::sign_out;
pub(crate) use sign_up::sign_up;

use axum::Json;
use axum::http::header::{HeaderName, SET_COOKIE};
use common::http::ApiError;
use common::ids::UserId;
use common::session::cookie;
use serde::Serialize;

use crate::AppState;
use crate::user::{Email, User};

/// A user as they see themselves.
#[derive(Serialize)]
pub(crate) struct UserView {
    id: UserId,
    email: Email,
}

/// The cookie of a new session, and whose it is.
type SignedIn = ([(HeaderName, String); 1], Json<UserView>);

/// Begins a session.
fn begin_session(app: &AppState, user: User) -> Result<SignedIn, ApiError> {
    let User { id, email, .. } = user;
    let lifetime = app.config.session_lifetime();
    let token = app.sessions.sign(id, email.as_str(), lifetime)?;
    let cookie = cookie(&token, lifetime, app.config.cookie_secure);
    Ok(([(SET_COOKIE, cookie)], Json(UserView { id, email })))
}
