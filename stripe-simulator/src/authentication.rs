//! Authentication by API key: every secret test key is valid.

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::StripeError;

const PREFIX: &str = "sk_test_";

/// Rejects requests without a secret test key.
pub(crate) async fn require_key(request: Request, next: Next) -> Response {
    match key(request.headers()) {
        Some(key) if key.len() > PREFIX.len() && key.starts_with(PREFIX) => next.run(request).await,
        Some(key) => StripeError::invalid_key(&key).into_response(),
        None => StripeError::no_key().into_response(),
    }
}

/// Reads the key from `Bearer <key>` or `Basic <base64 of key:>`.
fn key(headers: &HeaderMap) -> Option<String> {
    let (scheme, credentials) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(credentials.to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    decoded.split(':').next().map(str::to_owned)
}
