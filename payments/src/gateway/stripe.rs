//! Stripe's HTTP API: <https://docs.stripe.com/api/payment_intents>.

use std::time::Duration;

use async_trait::async_trait;
use common::ids::PaymentId;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Authorise, Authorised, Card, GatewayError, PaymentGateway};

/// Where Stripe's API answers.
pub const API_BASE: &str = "https://api.stripe.com";

/// The version of the API that this speaks, whatever the account's default is.
const VERSION_HEADER: HeaderName = HeaderName::from_static("stripe-version");
const API_VERSION: HeaderValue = HeaderValue::from_static("2024-06-20");

/// How long Stripe may take to answer.
pub const TIMEOUT: Duration = Duration::from_secs(8);

/// How long it may take to get a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);

/// Idle connections are closed before the other side does it, which a request on its way would meet.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// A way to Stripe, with connections of its own that are kept open.
pub struct StripeGateway {
    client: Client,
    intents: String,
    refunds: String,
}

/// Why there is no way to Stripe.
#[derive(Debug, thiserror::Error)]
pub enum StripeGatewayError {
    /// There is no key.
    #[error("STRIPE_KEY is not set: name your secret key, or sk_test_anything for the simulator at STRIPE_API_BASE")]
    NoKey,
    /// The key holds what can not be sent.
    #[error("STRIPE_KEY is not a key of Stripe's")]
    Key,
    /// The HTTP client can not be made: without certificates to trust, most likely.
    #[error("could not prepare HTTPS")]
    Client(#[from] reqwest::Error),
}

impl StripeGateway {
    /// A way to the API at `base`, whose paths begin with `/v1/`.
    pub fn new(base: &Url, key: &SecretString) -> Result<Self, StripeGatewayError> {
        // Another provider that is there already is as good.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let bearer = format!("Bearer {}", key.expose_secret());
        let mut bearer = HeaderValue::try_from(bearer).map_err(|_| StripeGatewayError::Key)?;
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
            // A stand-in close by: it needs neither a proxy nor the machine's certificates.
            client = client.no_proxy().tls_certs_only([]);
        }
        let base = base.as_str().trim_end_matches('/');
        Ok(Self {
            client: client.build()?,
            intents: format!("{base}/v1/payment_intents"),
            refunds: format!("{base}/v1/refunds"),
        })
    }

    /// Sends a request under an idempotency key, which makes it one however often it is sent.
    async fn post<T: DeserializeOwned>(&self, url: &str, key: String, form: &[(&str, &str)]) -> Result<T, Refused> {
        let request = self.client.post(url).header("idempotency-key", key).form(form);
        let response = request.send().await.map_err(unavailable)?;
        if !response.status().is_success() {
            return Err(Refused::Answered(response.status(), error(response).await?));
        }
        response.json().await.map_err(|error| unavailable(error).into())
    }
}

async fn error(response: Response) -> Result<StripeError, GatewayError> {
    let status = response.status();
    let no_reason =
        |source: reqwest::Error| GatewayError::unavailable(NoReason { status, source: source.without_url() });
    Ok(response.json::<ErrorBody>().await.map_err(no_reason)?.error)
}

/// A failure that does not say why.
#[derive(Debug, thiserror::Error)]
#[error("status {status} without a reason")]
struct NoReason {
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
            // A card that asks for a further step is declined.
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
            // In every other status of a new intent nothing is held.
            let message = "Your card was declined.".to_owned();
            return Err(GatewayError::Declined { message, code: intent.status, card: None });
        }
        let details = intent.latest_charge.and_then(|charge| charge.payment_method_details);
        Ok(Authorised { stripe_id: intent.id, card: details.and_then(|details| details.card) })
    }

    async fn capture(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        let url = format!("{}/{stripe_id}/capture", self.intents);
        let reply: Result<IntentStatus, Refused> = self.post(&url, format!("{payment}-capture"), &[]).await;
        reply.map(|_| ()).or_else(|refused| refused.unless_intent_is(SUCCEEDED))
    }

    async fn void(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        let url = format!("{}/{stripe_id}/cancel", self.intents);
        let reply: Result<IntentStatus, Refused> = self.post(&url, format!("{payment}-void"), &[]).await;
        reply.map(|_| ()).or_else(|refused| refused.unless_intent_is(CANCELED))
    }

    async fn refund(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        let form = [("payment_intent", stripe_id)];
        let reply: Result<Refund, Refused> = self.post(&self.refunds, format!("{payment}-refund"), &form).await;
        match reply {
            Ok(_) => Ok(()),
            Err(Refused::Answered(_, error)) if error.code.as_deref() == Some("charge_already_refunded") => Ok(()),
            Err(refused) => Err(refused.into()),
        }
    }
}

const REQUIRES_CAPTURE: &str = "requires_capture";
const SUCCEEDED: &str = "succeeded";
const CANCELED: &str = "canceled";

/// A request that did not succeed.
enum Refused {
    Answered(StatusCode, StripeError),
    Unanswered(GatewayError),
}

impl Refused {
    /// Keys are forgotten after a day at Stripe; then what was done long ago looks like a mistake.
    fn unless_intent_is(self, status: &str) -> Result<(), GatewayError> {
        match self {
            Self::Answered(_, StripeError { payment_intent: Some(intent), .. }) if intent.status == status => Ok(()),
            refused => Err(refused.into()),
        }
    }
}

impl From<GatewayError> for Refused {
    fn from(error: GatewayError) -> Self {
        Self::Unanswered(error)
    }
}

impl From<Refused> for GatewayError {
    fn from(refused: Refused) -> Self {
        let (status, error) = match refused {
            Refused::Unanswered(error) => return error,
            Refused::Answered(status, error) => (status, error),
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
            // 409 and 429: not now. 401 and 403: our key, which people must put right. An idempotency error: asked
            // before in other words, so what became of it is open.
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
