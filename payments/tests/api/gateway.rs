//! How the gateway interprets Stripe's responses.

use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use common::clock::Timestamp;
use common::error::chain;
use common::ids::{OrderId, PaymentId};
use common::money::Money;
use payments::gateway::stripe::StripeGateway;
use payments::gateway::{Authorise, Authorised, Card, CardToken, GatewayError, PaymentGateway};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const KEY: &str = "sk_test_verysecret";
const NOW: Timestamp = Timestamp::from_millis(0);

/// A gateway to a Stripe that always responds like this.
async fn responding(status: u16, body: impl Into<String>) -> StripeGateway {
    let (status, body): (_, Arc<str>) = (StatusCode::from_u16(status).expect("a status"), body.into().into());
    let respond = async move |_headers: HeaderMap| {
        (status, [("location", "/elsewhere"), ("content-type", "application/json")], body.to_string()).into_response()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(respond)).await });
    StripeGateway::new(&base.parse().expect("a URL"), &KEY.into()).expect("a gateway")
}

async fn authorise(gateway: &StripeGateway) -> Result<Authorised, GatewayError> {
    let token = CardToken::try_from("tok_verysecret".to_owned()).expect("a token");
    let (payment, order) = (PaymentId::generate(NOW), OrderId::generate(NOW));
    gateway.authorise(&Authorise { payment, order, amount: Money::from_cents(1), token: &token }).await
}

#[track_caller]
fn expect_invalid(result: Result<(), GatewayError>) {
    let Err(GatewayError::Invalid(message)) = result else { panic!("{result:?}") };
    assert_eq!(message, "Because.");
}

fn error(kind: &str, code: &str) -> Value {
    json!({"error": {"type": kind, "code": code, "message": "Because."}})
}

#[tokio::test]
async fn declines_and_rejections_are_distinguished_from_outages() {
    let declined = authorise(&responding(402, error("card_error", "card_declined").to_string()).await).await;
    let Err(GatewayError::Declined { message, code, card: None }) = declined else { panic!("{declined:?}") };
    assert_eq!((&*message, &*code), ("Because.", "card_declined"));
    let invalid = authorise(&responding(400, error("invalid_request_error", "x").to_string()).await).await;
    expect_invalid(invalid.map(drop));
    for (status, body) in [
        (400, error("idempotency_error", "").to_string()),
        (401, error("invalid_request_error", "").to_string()),
        (409, error("invalid_request_error", "idempotency_key_in_use").to_string()),
        (429, error("invalid_request_error", "rate_limit").to_string()),
        (500, error("api_error", "").to_string()),
        (502, "<html>Bad gateway</html>".to_owned()),
        (307, String::new()),
        (200, "{}".to_owned()),
        (200, String::new()),
    ] {
        let result = authorise(&responding(status, body.clone()).await).await;
        assert!(matches!(result, Err(GatewayError::Unavailable(_))), "{status} {body}: {result:?}");
        let text = format!("{result:?}");
        assert!(!text.contains("verysecret"), "{text}");
    }
}

#[tokio::test]
async fn a_refused_connection_means_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let gateway = StripeGateway::new(&base.parse().unwrap(), &KEY.into()).unwrap();
    let Err(GatewayError::Unavailable(cause)) = authorise(&gateway).await else { panic!("not unavailable") };
    let reason = chain(&*cause);
    assert!(!reason.contains("verysecret"), "{reason}");
}

#[tokio::test]
async fn an_intent_without_a_hold_counts_as_declined() {
    let gateway = responding(200, json!({"id": "pi_1", "status": "requires_action"}).to_string()).await;
    assert!(matches!(authorise(&gateway).await, Err(GatewayError::Declined { .. })));
    let gateway = responding(200, json!({"id": "pi_1", "status": "requires_capture"}).to_string()).await;
    assert_eq!(authorise(&gateway).await.unwrap(), Authorised { stripe_id: "pi_1".into(), card: None });
    let card = json!({"card": {"brand": "visa", "last4": "4242"}});
    let charge = json!({"payment_method_details": card});
    let intent = json!({"id": "pi_1", "status": "requires_capture", "latest_charge": charge});
    let card = Card { brand: "visa".into(), last4: "4242".into() };
    assert_eq!(authorise(&responding(200, intent.to_string()).await).await.unwrap().card, Some(card));
}

/// Stripe forgets idempotency keys after a day.
#[tokio::test]
async fn repeating_an_executed_request_succeeds_without_its_key() {
    let payment = PaymentId::generate(NOW);
    let in_status = |status: &str| {
        let mut body = error("invalid_request_error", "payment_intent_unexpected_state");
        body["error"]["payment_intent"] = json!({"id": "pi_1", "status": status});
        responding(400, body.to_string())
    };
    in_status("succeeded").await.capture(payment, "pi_1").await.unwrap();
    in_status("canceled").await.void(payment, "pi_1").await.unwrap();
    let refunded = error("invalid_request_error", "charge_already_refunded").to_string();
    responding(400, refunded).await.refund(payment, "pi_1").await.unwrap();

    expect_invalid(in_status("canceled").await.capture(payment, "pi_1").await);
    expect_invalid(in_status("succeeded").await.void(payment, "pi_1").await);
    expect_invalid(in_status("requires_capture").await.refund(payment, "pi_1").await);
}
