//! Authentication by API key: each secret or restricted test key is valid, except [`INVALID`].

use axum::extract::Request;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::StripeError;

const PREFIXES: [&str; 2] = ["sk_test_", "rk_test_"];

/// Refused, so that a wrong key can be tried.
const INVALID: &str = "sk_test_invalid";

/// Rejects requests without a valid key.
pub(crate) async fn require_key(request: Request, next: Next) -> Response {
    match key(request.headers()) {
        Some(key) if is_valid(&key) => next.run(request).await,
        Some(key) => StripeError::invalid_key(&key).into_response(),
        None => StripeError::no_key().into_response(),
    }
}

fn is_valid(key: &str) -> bool {
    let has_prefix = |prefix| key.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty());
    key != INVALID && PREFIXES.into_iter().any(has_prefix)
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
