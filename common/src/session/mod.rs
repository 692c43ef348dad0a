//! Who is asking: a signed token in a cookie, which each service verifies by itself.

mod hs256;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use cookie::{Cookie, SameSite};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, Timestamp};
use crate::http::ApiError;
use crate::ids::UserId;

/// The cookie's name.
const COOKIE: &str = "session";

/// What the token says.
#[derive(Serialize, Deserialize)]
struct Claims {
    id: UserId,
    email: String,
    iat: i64,
    exp: i64,
}

/// The signed-in user, as an extractor: without a valid session the request ends with 401.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CurrentUser {
    /// Who.
    pub id: UserId,
    /// Their email address when they signed in.
    pub email: String,
    /// When they signed in, in seconds since the Unix epoch.
    pub iat: i64,
}

/// Signs and verifies sessions with the key that all services share. Cheap to clone.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    encode: EncodingKey,
    decode: DecodingKey,
    validation: Validation,
    clock: Arc<dyn Clock>,
}

impl Sessions {
    /// Sessions signed with `key` and timed by `clock`.
    pub fn new(key: &SecretString, clock: Arc<dyn Clock>) -> Self {
        hs256::install();
        let key = key.expose_secret().as_bytes();
        let mut validation = Validation::new(Algorithm::HS256);
        // A token without `exp` does not parse; whether its time is up is for our clock to say.
        validation.validate_exp = false;
        Self(Arc::new(Inner {
            encode: EncodingKey::from_secret(key),
            decode: DecodingKey::from_secret(key),
            validation,
            clock,
        }))
    }

    /// A token that says for `lifetime` who somebody is.
    pub fn sign(&self, id: UserId, email: &str, lifetime: Duration) -> Result<String, ApiError> {
        let now = self.0.clock.now();
        let claims = Claims { id, email: email.to_owned(), iat: now.as_secs(), exp: now.plus(lifetime).as_secs() };
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.0.encode).map_err(ApiError::internal)
    }

    /// Who a token says somebody is, if it is ours and its time is not up.
    pub fn verify(&self, token: &str) -> Option<CurrentUser> {
        let Claims { id, email, iat, exp } =
            jsonwebtoken::decode(token, &self.0.decode, &self.0.validation).ok()?.claims;
        let expires = Timestamp::from_millis(exp.saturating_mul(1000));
        (self.0.clock.now() < expires).then_some(CurrentUser { id, email, iat })
    }

    /// Who a request's cookie says is asking.
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

/// The `Set-Cookie` that hands a token to a browser; an empty token takes the cookie away.
pub fn cookie(token: &str, lifetime: Duration, secure: bool) -> String {
    let max_age = cookie::time::Duration::seconds(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX));
    Cookie::build((COOKIE, token))
        .path("/")
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .secure(secure)
        .build()
        .to_string()
}
