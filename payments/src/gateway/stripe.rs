//! The adapter for Stripe's HTTP API: <https://docs.stripe.com/api/payment_intents>.

use std::time::Duration;

use async_trait::async_trait;
use common::ids::PaymentId;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Authorise, Authorised, Card, GatewayError, PaymentGateway};

/// The base URL of Stripe's API.
pub const API_BASE: &str = "https://api.stripe.com";

/// The version of the API that this adapter uses, independent of the account's default.
const VERSION_HEADER: HeaderName = HeaderName::from_static("stripe-version");
const API_VERSION: HeaderValue = HeaderValue::from_static("2024-06-20");

/// How long Stripe may take to respond.
pub const TIMEOUT: Duration = Duration::from_secs(8);

/// How long it may take to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// How long to keep idle connections: less than Stripe does, so that no request is sent on one that it is closing.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A client of Stripe with a connection pool.
pub struct StripeGateway {
    client: Client,
    intents: String,
    refunds: String,
}

/// Why a [`StripeGateway`] could not be created.
#[derive(Debug, thiserror::Error)]
pub enum StripeGatewayError {
    /// No key is configured.
    #[error("STRIPE_KEY is not set: use your secret key, or sk_test_anything for the simulator at STRIPE_API_BASE")]
    MissingKey,
    /// The key contains characters that an HTTP header cannot.
    #[error("STRIPE_KEY is not a Stripe key")]
    InvalidKey(#[source] InvalidHeaderValue),
    /// The HTTP client cannot be created, most likely because the machine trusts no certificates.
    #[error("could not set up HTTPS, check the machine's CA certificates")]
    Client(#[from] reqwest::Error),
}

impl StripeGateway {
    /// Creates a client of the API at `base`, which `/v1/…` is appended to.
    pub fn new(base: &Url, key: &SecretString) -> Result<Self, StripeGatewayError> {
        // Fails if a provider is already installed, which will do as well.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let bearer = format!("Bearer {}", key.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(StripeGatewayError::InvalidKey)?;
        bearer.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer), (VERSION_HEADER, API_VERSION)]);
        let mut client = Client::builder()
            .default_headers(headers)
            .user_agent(concat!("ticketing/", env!("CARGO_PKG_VERSION")))
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none());
        if base.scheme() == "http" {
            // A simulator, usually on loopback: no proxy, and no certificates to load.
            client = client.no_proxy().tls_certs_only([]);
        }
        let base = base.as_str().trim_end_matches('/');
        Ok(Self {
            client: client.build()?,
            intents: format!("{base}/v1/payment_intents"),
            refunds: format!("{base}/v1/refunds"),
        })
    }

    /// Sends a request with an idempotency key: Stripe executes it once, however often it is sent.
    async fn post<T: DeserializeOwned>(
        &self,
        url: &str,
        key: String,
        form: &[(&str, &str)],
    ) -> Result<T, RequestError> {
        let request = self.client.post(url).header("idempotency-key", key).form(form);
        let response = request.send().await.map_err(unavailable)?;
        if !response.status().is_success() {
            return Err(RequestError::Rejected(response.status(), rejection(response).await?));
        }
        response.json().await.map_err(|error| unavailable(error).into())
    }
}

async fn rejection(response: Response) -> Result<StripeError, GatewayError> {
    let status = response.status();
    let invalid = |source: reqwest::Error| InvalidErrorBody { status, source: source.without_url() };
    let body: ErrorBody = response.json().await.map_err(|error| GatewayError::unavailable(invalid(error)))?;
    Ok(body.error)
}

/// An error response that is not in Stripe's format, for example from a proxy.
#[derive(Debug, thiserror::Error)]
#[error("response with status {status} and an invalid error body")]
struct InvalidErrorBody {
    status: StatusCode,
    source: reqwest::Error,
}

fn unavailable(error: reqwest::Error) -> GatewayError {
    GatewayError::unavailable(error.without_url())
}

#[async_trait]
impl PaymentGateway for StripeGateway {
    async fn authorise(&self, request: &Authorise<'_>) -> Result<Authorised, GatewayError> {
        let Authorise { payment, order, amount, token } = *request;
        let (payment_id, order_id, amount) = (payment.to_string(), order.to_string(), amount.cents().to_string());
        let mut form = vec![
            ("amount", amount.as_str()),
            ("currency", "usd"),
            ("capture_method", "manual"),
            ("confirm", "true"),
            ("payment_method_types[]", "card"),
            // Decline cards that require a further step.
            ("error_on_requires_action", "true"),
            ("metadata[order_id]", &order_id),
            ("metadata[payment_id]", &payment_id),
            ("expand[]", "latest_charge"),
        ];
        if token.as_str().starts_with("pm_") {
            form.push(("payment_method", token.as_str()));
        } else {
            form.extend([("payment_method_data[type]", "card"), ("payment_method_data[card][token]", token.as_str())]);
        }
        let intent: Intent = self.post(&self.intents, format!("{payment}-authorise"), &form).await?;
        if intent.status != REQUIRES_CAPTURE {
            // In every other status nothing is held.
            let message = "Your card was declined.".to_owned();
            return Err(GatewayError::Declined { message, code: intent.status, card: None });
        }
        let details = intent.latest_charge.and_then(|charge| charge.payment_method_details);
        Ok(Authorised { stripe_id: intent.id, card: details.and_then(|details| details.card) })
    }

    async fn capture(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        let url = format!("{}/{stripe_id}/capture", self.intents);
        let result: Result<IntentStatus, _> = self.post(&url, format!("{payment}-capture"), &[]).await;
        result.map(drop).or_else(|error| error.ok_if_intent_is(SUCCEEDED))
    }

    async fn void(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        let url = format!("{}/{stripe_id}/cancel", self.intents);
        let result: Result<IntentStatus, _> = self.post(&url, format!("{payment}-void"), &[]).await;
        result.map(drop).or_else(|error| error.ok_if_intent_is(CANCELED))
    }

    async fn refund(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        let form = [("payment_intent", stripe_id)];
        let result: Result<Refund, _> = self.post(&self.refunds, format!("{payment}-refund"), &form).await;
        match result {
            Ok(_) => Ok(()),
            Err(RequestError::Rejected(_, error)) if error.code.as_deref() == Some("charge_already_refunded") => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

const REQUIRES_CAPTURE: &str = "requires_capture";
const SUCCEEDED: &str = "succeeded";
const CANCELED: &str = "canceled";

/// The error of a request to Stripe.
enum RequestError {
    /// Stripe rejected the request.
    Rejected(StatusCode, StripeError),
    /// There was no valid response.
    Failed(GatewayError),
}

impl RequestError {
    /// Treats a rejected request as successful if the intent already has this status.
    ///
    /// Stripe forgets idempotency keys after a day. A repeated request is then rejected because it was executed before.
    fn ok_if_intent_is(self, status: &str) -> Result<(), GatewayError> {
        match self {
            Self::Rejected(_, StripeError { payment_intent: Some(intent), .. }) if intent.status == status => Ok(()),
            error => Err(error.into()),
        }
    }
}

impl From<GatewayError> for RequestError {
    fn from(error: GatewayError) -> Self {
        Self::Failed(error)
    }
}

impl From<RequestError> for GatewayError {
    fn from(error: RequestError) -> Self {
        let (status, error) = match error {
            RequestError::Failed(error) => return error,
            RequestError::Rejected(status, error) => (status, error),
        };
        let StripeError { kind, code, decline_code, message, payment_method, .. } = error;
        let message = message.unwrap_or_default();
        match (status.as_u16(), kind.as_str()) {
            (402, _) | (400, "card_error") => Self::Declined {
                message,
                code: decline_code.or(code).unwrap_or_default(),
                card: payment_method.and_then(|payment_method| payment_method.card),
            },
            (400 | 404, "invalid_request_error") => Self::Invalid(message),
            // 409 and 429: try later. 401 and 403: an operator must fix the key. An idempotency error: the key was used
            // for another request, whose outcome is unknown.
            _ => Self::unavailable(format!("status {status}, {kind}: {message}")),
        }
    }
}

#[derive(Deserialize)]
struct Intent {
    id: String,
    status: String,
    latest_charge: Option<Charge>,
}

#[derive(Deserialize)]
struct Charge {
    payment_method_details: Option<PaymentMethod>,
}

#[derive(Deserialize)]
struct IntentStatus {
    status: String,
}

#[derive(Deserialize)]
struct Refund {}

#[derive(Deserialize)]
struct ErrorBody {
    error: StripeError,
}

#[derive(Deserialize)]
struct StripeError {
    #[serde(rename = "type")]
    kind: String,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    payment_intent: Option<IntentStatus>,
    payment_method: Option<PaymentMethod>,
}

#[derive(Deserialize)]
struct PaymentMethod {
    card: Option<Card>,
}
