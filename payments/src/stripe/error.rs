//! Failed calls of Stripe: <https://docs.stripe.com/api/errors>.

use axum::http::StatusCode;
use axum::http::header::InvalidHeaderValue;
use common::error::{BoxError, chain};
use serde::Deserialize;

use super::intent::{Intent, lenient};

/// Why a [`Stripe`](super::Stripe) could not be created.
#[derive(Debug, thiserror::Error)]
pub enum StripeSetupError {
    /// No key is configured.
    #[error("STRIPE_KEY is not set: use your secret key, or sk_test_anything for the simulator at STRIPE_API_BASE")]
    MissingKey,
    /// The key contains characters that an HTTP header cannot.
    #[error("STRIPE_KEY is not a Stripe key")]
    InvalidKey(#[from] InvalidHeaderValue),
    /// The HTTP client cannot be created, most likely because the machine trusts no certificates.
    #[error("could not set up HTTPS, check the machine's CA certificates")]
    Client(#[from] reqwest::Error),
}

/// Why a call of Stripe failed.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// The bank declined the card. Nothing is held.
    #[error("the card was declined: {code}")]
    Declined {
        /// Stripe's message for the cardholder.
        message: String,
        /// Stripe's decline code: `insufficient_funds`.
        code: String,
        /// The intent after the decline.
        intent: Option<Box<Intent>>,
    },
    /// Stripe rejected the request with this message. The request changed nothing.
    #[error("Stripe rejected the request with {status}: {message}")]
    Rejected {
        /// The status of the response.
        status: StatusCode,
        /// Stripe's message.
        message: String,
    },
    /// Stripe does not accept the key.
    #[error("Stripe does not accept STRIPE_KEY, use a secret key of your account")]
    Unauthorised,
    /// Whether the request was executed is unknown.
    #[error("Stripe is unavailable")]
    Unavailable(#[source] BoxError),
}

impl StripeError {
    pub(super) fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// Whether the same request cannot succeed now or later.
    pub(crate) fn is_final(&self) -> bool {
        match self {
            Self::Declined { .. } | Self::Rejected { .. } => true,
            Self::Unauthorised | Self::Unavailable(_) => false,
        }
    }

    /// The same error with a text that does not contain the secret.
    pub(super) fn without(self, secret: &str) -> Self {
        let clean = |text: String| text.replace(secret, "…");
        match self {
            Self::Declined { message, code, intent } => Self::Declined { message: clean(message), code, intent },
            Self::Rejected { status, message } => Self::Rejected { status, message: clean(message) },
            Self::Unavailable(cause) => match chain(&*cause) {
                text if text.contains(secret) => Self::unavailable(clean(text)),
                _ => Self::Unavailable(cause),
            },
            Self::Unauthorised => self,
        }
    }

    /// Classifies an unsuccessful response.
    pub(super) fn from_response(status: StatusCode, body: &[u8]) -> Self {
        let error = match serde_json::from_slice(body) {
            Ok(ErrorBody { error }) => error,
            // For example from a proxy.
            Err(_) => return Self::unavailable(format!("status {status} and an unreadable error body")),
        };
        let Details { kind, code, decline_code, message, payment_intent } = error;
        let (kind, message) = (kind.unwrap_or_default(), message.unwrap_or_default());
        match (status.as_u16(), kind.as_str()) {
            (402, _) | (400, "card_error") => Self::Declined {
                message,
                code: decline_code.or(code).unwrap_or_else(|| "unknown".to_owned()),
                intent: payment_intent.map(Box::new),
            },
            (401 | 403, _) => Self::Unauthorised,
            (400 | 404, "invalid_request_error") => Self::Rejected { status, message },
            // A conflict, a limit, a failure of Stripe's, or a key that was used for another request.
            _ => Self::unavailable(format!("status {status}, {kind}: {message}")),
        }
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    error: Details,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    decline_code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    payment_intent: Option<Intent>,
}
