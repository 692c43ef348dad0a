use axum::extract::State;
use axum::http::StatusCode;
use common::http::{ApiError, Body, Fields, FromFields};
use common::ids::UserId;
use common::store::StoreError;

use super::{EMAIL_RULE, SignedIn, begin_session};
use crate::AppState;
use crate::error::AuthError;
use crate::password::NewPassword;
use crate::user::{Email, User};

/// Who somebody wants to be.
pub(crate) struct SignUp {
    email: Email,
    password: NewPassword,
}

impl FromFields for SignUp {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.read("email", EMAIL_RULE);
        let password = fields.read("password", "Password must be between 8 and 128 characters");
        Some(Self { email: email?, password: password? })
    }
}

/// `POST /api/users/signup`: makes a user and signs them in.
pub(crate) async fn sign_up(
    State(app): State<AppState>,
    Body(body): Body<SignUp>,
) -> Result<(StatusCode, SignedIn), ApiError> {
    let user = create_user(&app, body).await?;
    Ok((StatusCode::CREATED, begin_session(&app, user)?))
}

async fn create_user(app: &AppState, SignUp { email, password }: SignUp) -> Result<User, AuthError> {
    // Only to save the hashing: that no two users have an email address is the index's work.
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
