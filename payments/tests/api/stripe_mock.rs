//! The requests to Stripe, checked by stripe-mock against Stripe's own description of its API.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Request, Response, Uri};
use bytes::Bytes;
use common::clock::{Clock, SystemClock};
use common::error::BoxError;
use common::ids::{OrderId, PaymentId, TicketId, UserId};
use common::money::Money;
use payments::stripe::{Intent, NewIntent, Stripe, StripeError, Transport};
use reqwest::Url;
use testing::servers::{STRIPE_MOCK, Server};

const KEY: &str = "sk_test_1";

#[tokio::test]
async fn stripe_accepts_each_request() {
    let Some(server) = Server::start(STRIPE_MOCK).await else { return };
    let stripe = Stripe::new(&base(&server), &KEY.into()).unwrap();
    stripe.check_key().await.unwrap();
    let intent = create(&stripe, "pm_card_visa").await.unwrap().id;
    // A card shows that the charge was expanded.
    assert!(stripe.confirm(&intent, "k1").await.unwrap().card().is_some());
    stripe.capture(&intent, "k2").await.unwrap();
    stripe.cancel(&intent, "k3").await.unwrap();
    stripe.refund(&intent, "k4").await.unwrap();
    assert!(stripe.retrieve(&intent).await.unwrap().card().is_some());
    for last in [None, Some(&*intent)] {
        assert!(stripe.list(SystemClock.now(), last).await.unwrap().data[0].card().is_some());
    }
    for last in [None, Some("re_1")] {
        assert!(stripe.list_refunds(SystemClock.now(), last).await.unwrap().data[0].id.starts_with("re_"));
    }
}

/// Stripe accepts a token in `payment_method_data`, but describes it only as a parameter of a PaymentMethod: the same
/// parameter takes card numbers, which Stripe does not want to see here.
#[tokio::test]
async fn stripe_accepts_the_token_of_a_card() {
    let Some(server) = Server::start(STRIPE_MOCK).await else { return };
    let base = base(&server);
    let stripe = Stripe::new(&base, &KEY.into()).unwrap();
    let StripeError::Rejected { message, .. } = create(&stripe, "tok_visa").await.unwrap_err() else { panic!() };
    assert!(message.contains("'payment_method_data' validation failed: object property 'type'"), "{message}");

    let methods = base.join("v1/payment_methods").unwrap().as_str().parse().unwrap();
    let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap();
    let stripe = Stripe::over(Arc::new(CardFirst { http, methods }), &base, &KEY.into()).unwrap();
    create(&stripe, "tok_visa").await.unwrap();
}

/// Creates a PaymentMethod of the `payment_method_data`, as Stripe does, and then sends the rest of the request.
struct CardFirst {
    http: reqwest::Client,
    /// Where PaymentMethods are created.
    methods: Uri,
}

#[async_trait]
impl Transport for CardFirst {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let (parts, body) = request.into_parts();
        let (mut card, mut rest) = (Vec::new(), Vec::new());
        for parameter in std::str::from_utf8(&body)?.split('&') {
            match parameter.strip_prefix("payment_method_data[") {
                Some(of_card) => card.push(of_card.replacen(']', "", 1)),
                None => rest.push(parameter),
            }
        }
        let mut card_parts = parts.clone();
        card_parts.uri = self.methods.clone();
        let requests = [(card_parts, card.join("&")), (parts, rest.join("&"))];
        let mut body = Bytes::new();
        for (parts, form) in requests {
            let response = self.http.execute(Request::from_parts(parts, form).try_into()?).await?;
            let status = response.status();
            body = response.bytes().await?;
            assert!(status.is_success(), "{status}: {body:?}");
        }
        Ok(Response::new(body))
    }
}

fn base(server: &Server) -> Url {
    format!("http://127.0.0.1:{}", server.port()).parse().expect("a URL")
}

async fn create(stripe: &Stripe, token: &str) -> Result<Intent, StripeError> {
    let now = SystemClock.now();
    let token = token.to_owned().try_into().expect("a token");
    let new = NewIntent {
        payment: PaymentId::generate(now),
        order: OrderId::generate(now),
        ticket: Some(TicketId::generate(now)),
        buyer: UserId::generate(now),
        amount: Money::from_cents(1999),
        token: &token,
    };
    stripe.create(&new, "k").await
}
