//! How Stripe's responses are interpreted.

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Request, Response};
use bytes::Bytes;
use common::error::{BoxError, chain};
use payments::stripe::{Intent, Stripe, StripeError, Transport};
use serde_json::{Value, json};

const KEY: &str = "sk_test_verysecret";

/// Responds to each request like this.
struct Canned(u16, String);

#[async_trait]
impl Transport for Canned {
    async fn send(&self, _request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        Ok(Response::builder().status(self.0).body(self.1.clone().into())?)
    }
}

async fn confirm(status: u16, body: impl Into<String>) -> Result<Intent, StripeError> {
    let transport = Arc::new(Canned(status, body.into()));
    let stripe = Stripe::over(transport, &"http://stripe.test".parse().expect("a URL"), &KEY.into()).expect("a client");
    stripe.confirm("pi_1", "key").await
}

fn error(kind: &str, code: &str) -> Value {
    json!({"error": {"type": kind, "code": code, "message": "Because."}})
}

#[tokio::test]
async fn declines_and_rejections_are_distinguished_from_outages() {
    let declined = confirm(402, error("card_error", "card_declined").to_string()).await;
    let Err(StripeError::Declined { message, code, intent: None }) = declined else { panic!("{declined:?}") };
    assert_eq!((&*message, &*code), ("Because.", "card_declined"));
    let rejected = confirm(400, error("invalid_request_error", "x").to_string()).await;
    assert!(matches!(rejected, Err(StripeError::Rejected { .. })), "{rejected:?}");
    let refused = confirm(401, error("invalid_request_error", "").to_string()).await;
    assert!(matches!(refused, Err(StripeError::Unauthorised)), "{refused:?}");
    for (status, body) in [
        (400, error("idempotency_error", "").to_string()),
        (409, error("invalid_request_error", "idempotency_key_in_use").to_string()),
        (429, error("invalid_request_error", "rate_limit").to_string()),
        (500, error("api_error", "").to_string()),
        (502, "<html>Bad gateway</html>".to_owned()),
        (307, String::new()),
        (200, "{}".to_owned()),
        (200, String::new()),
    ] {
        let result = confirm(status, body.clone()).await;
        assert!(matches!(result, Err(StripeError::Unavailable(_))), "{status} {body}: {result:?}");
        let text = format!("{result:?}");
        assert!(!text.contains("verysecret"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_connection_means_unavailable() {
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let stripe = Stripe::new(&base.parse().unwrap(), &KEY.into()).unwrap();
    let Err(StripeError::Unavailable(cause)) = stripe.retrieve("pi_secret").await else { panic!("not unavailable") };
    let reason = chain(&*cause);
    assert!(!reason.contains("secret"), "{reason}");
}
