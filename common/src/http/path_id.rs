//! The id in a path.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;

use super::ApiError;
use crate::ids::RecordId;

/// Extracts the id at the end of a path.
///
/// Extraction never fails: session and body are checked before the id is, so a malformed id is reported only when the
/// handler asks for it.
pub struct PathId<T>(Option<T>);

impl<T> PathId<T> {
    /// Returns the id.
    ///
    /// # Errors
    ///
    /// [`ApiError::NotFound`] if it is malformed, because no record can have it.
    pub fn known(self) -> Result<T, ApiError> {
        self.0.ok_or(ApiError::NotFound)
    }
}

impl<S: Send + Sync, T: RecordId> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text: Result<Path<String>, PathRejection> = Path::from_request_parts(parts, state).await;
        Ok(Self(text.ok().and_then(|Path(text)| text.parse().ok())))
    }
}
