use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use common::http::{ApiError, Body, Required};
use common::ids::UserId;
use common::store::StoreError;
use serde::Deserialize;
use tower_cookies::Cookies;
use validator::Validate;

use super::session::{UserView, start_session};
use crate::AppState;
use crate::error::AuthError;
use crate::password::NewPassword;
use crate::user::{Email, User};

/// The credentials of a new user.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SignUp {
    #[validate(required(message = "Email must be valid"))]
    email: Required<Email>,
    #[validate(required(message = "Password must be between 8 and 128 characters"))]
    password: Required<NewPassword>,
}

/// `POST /api/users/signup`: creates a user and starts their session.
pub(crate) async fn sign_up(
    State(app): State<AppState>,
    cookies: Cookies,
    Body(body): Body<SignUp>,
) -> Result<(StatusCode, Json<UserView>), ApiError> {
    let user = create_user(&app, body.email.get()?, body.password.get()?).await?;
    Ok((StatusCode::CREATED, start_session(&app, &cookies, user)?))
}

async fn create_user(app: &AppState, email: Email, password: NewPassword) -> Result<User, AuthError> {
    // Saves hashing for most duplicates; the unique index is what keeps email addresses unique.
    if !app.users.find(User::by_email(&email)).await?.is_empty() {
        return Err(AuthError::EmailInUse);
    }
    let password = app.hasher.hash(password).await?;
    let user = User::new(UserId::generate(app.clock.now()), email, password);
    match app.users.insert(&user, ()).await {
        Ok(()) => Ok(user),
        Err(StoreError::Duplicate(_)) => Err(AuthError::EmailInUse),
        Err(error) => Err(error.into()),
    }
}
