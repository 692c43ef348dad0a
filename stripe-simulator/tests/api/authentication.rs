use axum::body::Body;
use axum::http::Request;

use crate::{Reply, Stripe};

async fn with(authorization: Option<&str>) -> Reply {
    let mut request = Request::get("/v1/payment_intents/pi_1");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    Stripe::new().send(request.body(Body::empty()).expect("a request")).await
}

#[tokio::test]
async fn a_secret_test_key_is_let_in_as_bearer_and_as_basic() {
    // 404 says that the request got past the key.
    with(Some("Bearer sk_test_123")).await.expect(404);
    // sk_test_123: and sk_test_123
    with(Some("Basic c2tfdGVzdF8xMjM6")).await.expect(404);
    with(Some("Basic c2tfdGVzdF8xMjM=")).await.expect(404);
}

#[tokio::test]
async fn without_a_secret_test_key_nothing_is_told() {
    let none = with(None).await.expect(401);
    assert_eq!(none["error"]["type"], "invalid_request_error");
    assert!(none["error"]["message"].as_str().unwrap().starts_with("You did not provide an API key."));
    for header in ["Basic %%%", "Digest sk_test_1", "Bearer"] {
        with(Some(header)).await.expect(401);
    }
    for header in ["Bearer sk_live_secret", "Bearer pk_test_secret", "Bearer sk_test_", "Bearer é"] {
        let refused = with(Some(header)).await.expect(401);
        assert!(!refused.to_string().contains("secret"), "{refused}");
    }
}

#[tokio::test]
async fn other_routes_are_unrecognised() {
    let stripe = Stripe::new();
    for reply in [stripe.get("/v1/charges").await, stripe.get("/v1/payment_intents").await] {
        let error = reply.expect(404);
        assert!(error["error"]["message"].as_str().unwrap().starts_with("Unrecognized request URL (GET: /v1/"));
    }
}
