use axum::extract::State;
use common::http::{ApiError, Body, Fields, FromFields};

use super::{EMAIL_RULE, SignedIn, begin_session};
use crate::AppState;
use crate::error::AuthError;
use crate::password::Password;
use crate::user::{Email, User};

/// Who somebody says they are.
pub(crate) struct Credentials {
    email: Email,
    password: Password,
}

impl FromFields for Credentials {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.read("email", EMAIL_RULE);
        let password = fields.read("password", "You must supply a password");
        Some(Self { email: email?, password: password? })
    }
}

/// `POST /api/users/signin`: begins a session for who knows the password.
pub(crate) async fn sign_in(State(app): State<AppState>, Body(body): Body<Credentials>) -> Result<SignedIn, ApiError> {
    let user = authenticate(&app, body).await?;
    begin_session(&app, user)
}

/// Neither answer nor time tells whether the email address is known: a password is verified either way.
async fn authenticate(app: &AppState, Credentials { email, password }: Credentials) -> Result<User, AuthError> {
    let user = app.users.find(User::by_email(&email)).await?.pop();
    let stored = user.as_ref().map(|user| user.password.clone());
    let verified = app.hasher.verify(password, stored).await?;
    user.filter(|_| verified).ok_or(AuthError::InvalidCredentials)
}
