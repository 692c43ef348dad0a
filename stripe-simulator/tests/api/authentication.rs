use axum::body::Body;
use axum::http::Request;

use crate::{Reply, Stripe};

async fn get_with(authorization: Option<&str>) -> Reply {
    let mut request = Request::get("/v1/payment_intents/pi_1");
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    Stripe::new().send(request.body(Body::empty()).expect("valid request")).await
}

#[tokio::test]
async fn secret_test_keys_are_accepted_as_bearer_and_basic() {
    // 404 means that the request was authenticated.
    get_with(Some("Bearer sk_test_123")).await.expect(404);
    get_with(Some("Bearer rk_test_123")).await.expect(404);
    // "sk_test_123:" and "sk_test_123"
    get_with(Some("Basic c2tfdGVzdF8xMjM6")).await.expect(404);
    get_with(Some("Basic c2tfdGVzdF8xMjM=")).await.expect(404);
}

#[tokio::test]
async fn requests_without_a_secret_test_key_are_unauthorized() {
    let none = get_with(None).await.expect(401);
    assert_eq!(none["error"]["type"], "invalid_request_error");
    assert!(none["error"]["message"].as_str().unwrap().starts_with("You did not provide an API key."));
    for header in ["Basic %%%", "Digest sk_test_1", "Bearer"] {
        get_with(Some(header)).await.expect(401);
    }
    for header in
        ["Bearer sk_live_secret", "Bearer pk_test_secret", "Bearer sk_test_", "Bearer sk_test_invalid", "Bearer é"]
    {
        let error = get_with(Some(header)).await.expect(401);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn unknown_routes_are_not_found() {
    let stripe = Stripe::new();
    for reply in [stripe.get("/v1/charges").await, stripe.get("/v1/payment_intents/pi_1/capture").await] {
        let error = reply.expect(404);
        assert!(error["error"]["message"].as_str().unwrap().starts_with("Unrecognized request URL (GET: /v1/"));
    }
}
