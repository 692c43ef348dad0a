//! Sessions: a signed token in a cookie, which each service verifies without asking another.

mod hs256;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tower_cookies::Cookie;
use tower_cookies::cookie::{SameSite, time};

use crate::clock::{Clock, Timestamp};
use crate::http::ApiError;
use crate::ids::UserId;

/// The cookie's name.
const COOKIE: &str = "session";

/// The payload of the token.
#[derive(Serialize, Deserialize)]
struct Claims {
    id: UserId,
    email: String,
    iat: i64,
    exp: i64,
}

/// Extracts the signed-in user, or fails with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentUser {
    /// The user's id.
    pub id: UserId,
    /// Their email address at sign-in.
    pub email: String,
    /// The time of sign-in, in seconds since the Unix epoch.
    pub iat: i64,
}

/// Signs and verifies session tokens with the key that all services share. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    encode: EncodingKey,
    decode: DecodingKey,
    validation: Validation,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// Signs with `key`; `clock` decides whether a token has expired.
    pub fn new(key: &SecretString, clock: Arc<dyn Clock>) -> Self {
        hs256::install();
        let key = key.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // Checked against our clock below. A token without `exp` does not parse.
        validation.validate_exp = false;
        Self(Arc::new(Inner {
            encode: EncodingKey::from_secret(key),
            decode: DecodingKey::from_secret(key),
            validation,
            clock,
        }))
    }

    /// Signs a token that is valid for `lifetime`.
    ///
    /// # Errors
    ///
    /// [`ApiError::Internal`] if signing fails.
    pub fn sign(&self, id: UserId, email: &str, lifetime: Duration) -> Result<String, ApiError> {
        let now = self.0.clock.now();
        let claims = Claims { id, email: email.to_owned(), iat: now.as_secs(), exp: now.plus(lifetime).as_secs() };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0.encode).map_err(ApiError::internal)
    }

    /// Returns the user of a token that we signed and that has not expired.
    pub fn verify(&self, token: &str) -> Option<CurrentUser> {
        let Claims { id, email, iat, exp } =
            jsonwebtoken::decode(token, &self.0.decode, &self.0.validation).ok()?.claims;
        let expires = Timestamp::from_millis(exp.saturating_mul(1000));
        (self.0.clock.now() < expires).then_some(CurrentUser { id, email, iat })
    }

    /// Returns the signed-in user of a request, if any.
    ///
    /// Any of several cookies named `session` may be the valid one: another application on a parent domain can set its
    /// own. So this does not read [`Cookies`](tower_cookies::Cookies), which keeps only the last of them.
    pub fn current_user(&self, headers: &HeaderMap) -> Option<CurrentUser> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut sessions = cookies.flat_map(Cookie::split_parse).flatten().filter(|cookie| cookie.name() == COOKIE);
        sessions.find_map(|cookie| self.verify(cookie.value()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for CurrentUser
where
    Sessions: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        Sessions::from_ref(state).current_user(&parts.headers).ok_or(ApiError::NotAuthorized)
    }
}

/// The cookie that hands a token to the browser.
pub fn session_cookie(token: String, lifetime: Duration, secure: bool) -> Cookie<'static> {
    let max_age = time::Duration::seconds(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
    Cookie::build((COOKIE, token))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .secure(secure)
        .build()
}

/// The cookie that makes the browser forget its session.
pub fn expired_cookie(secure: bool) -> Cookie<'static> {
    session_cookie(String::new(), Duration::ZERO, secure)
}
