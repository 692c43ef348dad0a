//! Stripe's HTTP API: <https://docs.stripe.com/api/payment_intents>.
//!
//! The requests are those of async-stripe. The connection and the responses are ours: async-stripe's client opens a
//! connection for each request, and parses whole objects, so that a null in a displayed field would hide the outcome of
//! a request about money.

mod error;
mod intent;
mod transport;

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method, Request};
use bytes::Bytes;
use common::clock::Timestamp;
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::money::Money;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};
use stripe_core::payment_intent::{
    CancelPaymentIntent, CapturePaymentIntent, ConfirmPaymentIntent, CreatePaymentIntent, ListPaymentIntent,
    RetrievePaymentIntent,
};
use stripe_core::refund::{CreateRefund, ListRefund};
use stripe_shared::PaymentIntentCaptureMethod;
use stripe_types::{Currency, RangeQueryTs};

use crate::card::CardToken;

pub use error::{StripeError, StripeSetupError};
pub use intent::{ClientSecret, Intent, IntentStatus};
pub(crate) use transport::TIMEOUT;
pub use transport::Transport;

/// The base URL of Stripe's API.
pub const API_BASE: &str = "https://api.stripe.com";

/// The version of the API, independent of the account's default.
const API_VERSION: HeaderValue = HeaderValue::from_static("2026-08-26.dahlia");
const VERSION_HEADER: HeaderName = HeaderName::from_static("stripe-version");

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What follows the account's name on the buyer's statement.
const STATEMENT_SUFFIX: &str = "TICKET";

/// How many intents a page of a list has.
const PAGE: i64 = 100;

/// A client of Stripe. Clones share the connections.
///
/// Each call that changes something has an idempotency key: Stripe executes it once, and stores the first response under
/// the key for at least 24 hours, even a failure. So a call is repeated with another key, and only after
/// [`retrieve`](Self::retrieve) has shown that the first had no effect.
#[derive(Clone)]
pub struct Stripe {
    transport: Arc<dyn Transport>,
    base: Arc<str>,
    authorisation: HeaderValue,
}

/// A PaymentIntent to create.
#[derive(Clone, Copy, Debug)]
pub struct NewIntent<'a> {
    /// The payment it belongs to.
    pub payment: PaymentId,
    /// The order to pay for.
    pub order: OrderId,
    /// The ordered ticket, if known.
    pub ticket: Option<TicketId>,
    /// The buyer.
    pub buyer: UserId,
    /// The amount to hold.
    pub amount: Money,
    /// The card.
    pub token: &'a CardToken,
}

/// One page of a list.
#[derive(Clone, Debug, Deserialize)]
pub struct Page<T> {
    /// The items.
    pub data: Vec<T>,
    /// Whether there is another page.
    #[serde(default)]
    pub has_more: bool,
}

/// A refund, made by this service or in Stripe's dashboard.
#[derive(Clone, Debug, Deserialize)]
pub struct Refund {
    /// `re_…`.
    pub id: String,
    /// The intent whose charge was refunded, `pi_…`. Other charges of the account may have none.
    #[serde(default, deserialize_with = "intent::lenient")]
    pub payment_intent: Option<String>,
}

impl Stripe {
    /// Creates a client of the API at `base`, which `/v1/…` is appended to.
    ///
    /// # Errors
    ///
    /// If the key cannot be sent in a header, or HTTPS cannot be set up.
    pub fn new(base: &Url, key: &SecretString) -> Result<Self, StripeSetupError> {
        let http = transport::Http::new(base.scheme() == "https")?;
        Self::over(Arc::new(http), base, key)
    }

    /// Like [`new`](Self::new), with another transport.
    pub fn over(transport: Arc<dyn Transport>, base: &Url, key: &SecretString) -> Result<Self, StripeSetupError> {
        let mut authorisation = HeaderValue::from_str(&format!("Bearer {}", key.expose_secret()))?;
        authorisation.set_sensitive(true);
        Ok(Self { transport, base: base.as_str().trim_end_matches('/').into(), authorisation })
    }

    /// Creates an intent that is not confirmed: nothing is held.
    pub async fn create(&self, new: &NewIntent<'_>, key: &str) -> Result<Intent, StripeError> {
        let cents = i64::try_from(new.amount.cents()).unwrap_or(i64::MAX);
        let mut metadata = HashMap::from([
            ("payment_id".to_owned(), new.payment.to_string()),
            ("order_id".to_owned(), new.order.to_string()),
            ("user_id".to_owned(), new.buyer.to_string()),
        ]);
        metadata.extend(new.ticket.map(|ticket| ("ticket_id".to_owned(), ticket.to_string())));
        let mut request = CreatePaymentIntent::new(cents, Currency::USD)
            .capture_method(PaymentIntentCaptureMethod::Manual)
            .statement_descriptor_suffix(STATEMENT_SUFFIX)
            .metadata(metadata)
            .build();
        // async-stripe has no fields for these.
        let token = utf8_percent_encode(new.token.as_str(), NON_ALPHANUMERIC);
        let card = if new.token.as_str().starts_with("pm_") {
            format!("payment_method={token}")
        } else {
            format!("payment_method_data[type]=card&payment_method_data[card][token]={token}")
        };
        request.body = request.body.map(|body| format!("{body}&payment_method_types[]=card&{card}"));
        // Stripe's messages repeat wrong parameters.
        self.call(request, Some(key)).await.map_err(|error| error.without(new.token.as_str()))
    }

    /// Confirms an intent: holds its amount, unless the bank declines or the buyer has to do something first.
    pub async fn confirm(&self, intent: &str, key: &str) -> Result<Intent, StripeError> {
        self.call(ConfirmPaymentIntent::new(intent).expand(charge()).build(), Some(key)).await
    }

    /// Charges the held amount.
    pub async fn capture(&self, intent: &str, key: &str) -> Result<Intent, StripeError> {
        self.call(CapturePaymentIntent::new(intent).build(), Some(key)).await
    }

    /// Ends an intent and releases what it holds.
    pub async fn cancel(&self, intent: &str, key: &str) -> Result<Intent, StripeError> {
        self.call(CancelPaymentIntent::new(intent).build(), Some(key)).await
    }

    /// Refunds the captured amount.
    pub async fn refund(&self, intent: &str, key: &str) -> Result<(), StripeError> {
        #[derive(Deserialize)]
        struct Response {}

        let Response {} = self.call(CreateRefund::new().payment_intent(intent).build(), Some(key)).await?;
        Ok(())
    }

    /// The current state of an intent.
    pub async fn retrieve(&self, intent: &str) -> Result<Intent, StripeError> {
        self.call(RetrievePaymentIntent::new(intent).expand(charge()).build(), None).await
    }

    /// The intents created since `since`, newest first. `last` is the id of the last intent of the previous page.
    pub async fn list(&self, since: Timestamp, last: Option<&str>) -> Result<Page<Intent>, StripeError> {
        let mut request = ListPaymentIntent::new().created(RangeQueryTs::gte(since.as_secs())).limit(PAGE);
        if let Some(last) = last {
            request = request.starting_after(last);
        }
        let expanded = vec!["data.latest_charge".to_owned()];
        self.call(request.expand(expanded).build(), None).await
    }

    /// The refunds made since `since`, newest first. `last` is the id of the last refund of the previous page.
    pub async fn list_refunds(&self, since: Timestamp, last: Option<&str>) -> Result<Page<Refund>, StripeError> {
        let mut request = ListRefund::new().created(RangeQueryTs::gte(since.as_secs())).limit(PAGE);
        if let Some(last) = last {
            request = request.starting_after(last);
        }
        self.call(request.build(), None).await
    }

    /// Checks that Stripe accepts the key.
    ///
    /// # Errors
    ///
    /// [`StripeError::Unauthorised`] if it does not.
    pub async fn check_key(&self) -> Result<(), StripeError> {
        #[derive(Deserialize)]
        struct Response {}

        let Response {} = self.call(ListPaymentIntent::new().limit(1).build(), None).await?;
        Ok(())
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder, key: Option<&str>) -> Result<T, StripeError> {
        let request = self.request(request, key).map_err(StripeError::unavailable)?;
        let response = self.transport.send(request).await.map_err(StripeError::Unavailable)?;
        if !response.status().is_success() {
            return Err(StripeError::from_response(response.status(), response.body()));
        }
        serde_json::from_slice(response.body()).map_err(StripeError::unavailable)
    }

    fn request(&self, request: RequestBuilder, key: Option<&str>) -> Result<Request<Bytes>, axum::http::Error> {
        let RequestBuilder { query, body, path, method } = request;
        let query = query.filter(|query| !query.is_empty()).map_or_else(String::new, |query| format!("?{query}"));
        let mut builder = Request::builder()
            .method(match method {
                StripeMethod::Get => Method::GET,
                StripeMethod::Post => Method::POST,
                StripeMethod::Delete => Method::DELETE,
            })
            .uri(format!("{}/v1{path}{query}", self.base))
            .header(AUTHORIZATION, self.authorisation.clone())
            .header(VERSION_HEADER, API_VERSION);
        if let Some(key) = key {
            builder = builder.header(IDEMPOTENCY_KEY, key);
        }
        if body.is_some() {
            builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        builder.body(body.unwrap_or_default().into())
    }
}

/// The charge is part of the response and not only its id.
fn charge() -> Vec<String> {
    vec!["latest_charge".to_owned()]
}
