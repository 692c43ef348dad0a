//! What can go wrong in this service, and what the client is told.

use common::http::ApiError;
use common::store::StoreError;

use crate::password::HashError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthError {
    #[error("the email address belongs to another user")]
    EmailInUse,
    #[error("no such user, or another password")]
    InvalidCredentials,
    #[error("could not hash a password")]
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
