use axum::http::Method;

use crate::{AUTHORISATION, Stripe};

#[tokio::test]
async fn authentication_leads_to_capture_or_to_another_payment_method() {
    let stripe = Stripe::new();
    let form = AUTHORISATION.replace("visa", "threeDSecure2Required");
    let path = stripe.create(&form).await;
    let intent = stripe.get(&path).await.expect(200);
    assert_eq!((&intent["status"], &intent["latest_charge"]), (&"requires_action".into(), &serde_json::Value::Null));
    assert_eq!(intent["next_action"]["type"], "use_stripe_sdk");
    assert_eq!(stripe.act(&path, "authenticate").await.expect(200)["status"], "requires_capture");

    let path = stripe.create(&form).await;
    let intent = stripe.act(&path, "fail_authentication").await.expect(200);
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["last_payment_error"]["code"], "payment_intent_authentication_failure");
    assert_eq!(intent["next_action"], serde_json::Value::Null);
}

#[tokio::test]
async fn payments_in_process_settle_or_fail() {
    let stripe = Stripe::new();
    let form = AUTHORISATION.replace("visa", "processing");
    let path = stripe.create(&form).await;
    assert_eq!(stripe.get(&path).await.expect(200)["status"], "processing");
    assert_eq!(stripe.act(&path, "settle").await.expect(200)["status"], "requires_capture");
    let path = stripe.create(&form).await;
    let intent = stripe.act(&path, "fail").await.expect(200);
    assert_eq!(intent["status"], "requires_payment_method");
    assert_eq!(intent["latest_charge"]["status"], "failed");
}

#[tokio::test]
async fn the_dashboard_captures_refunds_disputes_and_cancels() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    assert_eq!(stripe.act(&path, "capture").await.expect(200)["status"], "succeeded");
    assert_eq!(stripe.act(&path, "dispute").await.expect(200)["latest_charge"]["disputed"], true);
    stripe.act(&path, "refund").await.expect(409);

    let path = stripe.authorise().await;
    stripe.act(&path, "capture").await.expect(200);
    assert_eq!(stripe.act(&path, "refund").await.expect(200)["latest_charge"]["refunded"], true);

    let path = stripe.authorise().await;
    assert_eq!(stripe.act(&path, "cancel").await.expect(200)["status"], "canceled");
    let path = stripe.authorise().await;
    let intent = stripe.act(&path, "lapse").await.expect(200);
    assert_eq!(intent["cancellation_reason"], "automatic");
}

#[tokio::test]
async fn actions_that_the_state_does_not_allow_are_conflicts() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    for action in ["authenticate", "fail_authentication", "settle", "fail", "refund", "dispute"] {
        let error = stripe.act(&path, action).await.expect(409);
        assert!(error["error"]["message"].is_string(), "{error}");
    }
    stripe.act(&path, "explode").await.expect(404);
    stripe.control(Method::POST, "/payment_intents/pi_1/capture", "").await.expect(404);
    stripe.control(Method::GET, "/nothing", "").await.expect(404);
}

#[tokio::test]
async fn webhook_endpoints_are_checked_and_shown_without_their_secret() {
    let stripe = Stripe::new();
    for body in [
        "",
        "{}",
        r#"{"url": "ftp://localhost", "secret": "s"}"#,
        r#"{"url": "nowhere", "secret": "s"}"#,
        r#"{"url": "http://localhost", "secret": ""}"#,
        r#"{"url": "http://localhost", "secret": "s", "copies": 0}"#,
        r#"{"url": "http://localhost", "secret": "s", "order": "random"}"#,
    ] {
        stripe.control(Method::PUT, "/webhooks", body).await.expect(400);
    }
    let body = r#"{"url": "http://localhost:1/hook", "secret": "whsec_1", "copies": 2, "order": "newest"}"#;
    let shown = stripe.control(Method::PUT, "/webhooks", body).await.expect(200);
    assert_eq!((&shown["url"], &shown["copies"]), (&"http://localhost:1/hook".into(), &2.into()));
    assert!(!shown.to_string().contains("whsec_1"));
    assert_eq!(stripe.control(Method::GET, "/webhooks", "").await.expect(200), shown);
    stripe.control(Method::DELETE, "/webhooks", "").await.expect(204);
    assert_eq!(stripe.control(Method::GET, "/webhooks", "").await.expect(200), serde_json::Value::Null);
}
