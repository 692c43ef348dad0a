//! The service's errors, and the HTTP responses they become.

use common::http::ApiError;
use common::store::StoreError;

use crate::password::HashError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("the email address is already in use")]
    EmailInUse,
    #[error("the email address is unknown or the password is wrong")]
    InvalidCredentials,
    #[error("could not hash the password")]
    Hash(#[from] HashError),
    #[error("could not read or write users")]
    Store(#[from] StoreError),
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::EmailInUse => Self::BadRequest("Email in use".into()),
            AuthError::InvalidCredentials => Self::BadRequest("Invalid credentials".into()),
            AuthError::Hash(HashError::Overloaded) => Self::unavailable(HashError::Overloaded),
            AuthError::Hash(error @ HashError::Failed(_)) => Self::internal(error),
            AuthError::Store(error) => error.into(),
        }
    }
}
