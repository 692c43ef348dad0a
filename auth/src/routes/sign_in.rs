use axum::Json;
use axum::extract::State;
use common::http::{ApiError, Body, Required};
use serde::Deserialize;
use tower_cookies::Cookies;
use validator::Validate;

use super::session::{UserView, start_session};
use crate::AppState;
use crate::error::AuthError;
use crate::password::Password;
use crate::user::{Email, User};

/// The credentials of an existing user.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignIn {
    #[validate(required(message = "Email must be valid"))]
    email: Required<Email>,
    #[validate(required(message = "You must supply a password"))]
    password: Required<Password>,
}

/// `POST /api/users/signin`: starts a session.
pub(crate) async fn sign_in(
    State(app): State<AppState>,
    cookies: Cookies,
    Body(body): Body<SignIn>,
) -> Result<Json<UserView>, ApiError> {
    let user = authenticate(&app, body.email.get()?, body.password.get()?).await?;
    start_session(&app, &cookies, user)
}

/// Verifies a password even if the email address is unknown, so that the response time does not reveal
/// which addresses are known.
async fn authenticate(app: &AppState, email: Email, password: Password) -> Result<User, AuthError> {
    let user = app.users.find(User::by_email(&email)).await?.pop();
    let stored = user.as_ref().map(|user| user.password.clone());
    let verified = app.hasher.verify(password, stored).await?;
    user.filter(|_| verified).ok_or(AuthError::InvalidCredentials)
}
