use axum::http::Method;

use crate::{AUTHORISATION, Broken, PATH, Stripe, path_of};

#[tokio::test]
async fn an_error_is_stored_under_the_key_and_nothing_is_done() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    stripe.fail_next("capture", "error").await;
    let capture = format!("{path}/capture");
    let first = stripe.post_keyed(&capture, "", Some("k")).await.expect(500);
    assert_eq!(first["error"]["type"], "api_error");
    let again = stripe.post_keyed(&capture, "", Some("k")).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(500), first);
    assert_eq!(stripe.get(&path).await.expect(200)["status"], "requires_capture");
}

#[tokio::test]
async fn an_error_after_the_work_is_stored_under_the_key() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    stripe.fail_next("capture", "errorAfter").await;
    let capture = format!("{path}/capture");
    let first = stripe.post_keyed(&capture, "", Some("k")).await.expect(500);
    assert_eq!(stripe.post_keyed(&capture, "", Some("k")).await.expect(500), first);
    assert_eq!(stripe.get(&path).await.expect(200)["status"], "succeeded");
}

#[tokio::test]
async fn a_lost_response_is_replayed_to_the_retry() {
    let stripe = Stripe::new();
    stripe.fail_next("create", "lostResponse").await;
    assert_eq!(stripe.try_post(PATH, AUTHORISATION, Some("k")).await.unwrap_err(), Broken);
    let retry = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await;
    assert!(retry.is_replayed());
    retry.expect(200);
    assert_eq!(stripe.get(PATH).await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_connection_closed_before_the_work_leaves_no_trace() {
    let stripe = Stripe::new();
    stripe.fail_next("any", "closed").await;
    assert_eq!(stripe.try_post(PATH, AUTHORISATION, Some("k")).await.unwrap_err(), Broken);
    assert_eq!(stripe.get(PATH).await.expect(200)["data"], serde_json::json!([]));
    assert!(!stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await.is_replayed());
}

#[tokio::test]
async fn rate_limits_and_conflicts_are_not_stored() {
    let stripe = Stripe::new();
    for (fault, status, code) in [("rateLimited", 429, "rate_limit"), ("conflict", 409, "lock_timeout")] {
        stripe.fail_next("create", fault).await;
        let refused = stripe.post_keyed(PATH, AUTHORISATION, Some(fault)).await.expect(status);
        assert_eq!(refused["error"]["code"], code);
        let retry = stripe.post_keyed(PATH, AUTHORISATION, Some(fault)).await;
        assert!(!retry.is_replayed());
        retry.expect(200);
    }
}

#[tokio::test]
async fn reads_fail_too() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    stripe.fail_next("retrieve", "error").await;
    stripe.fail_next("list", "errorAfter").await;
    stripe.get(&path).await.expect(500);
    stripe.get(PATH).await.expect(500);
    stripe.get(&path).await.expect(200);
    stripe.get(PATH).await.expect(200);
}

#[tokio::test]
async fn rules_skip_count_and_repeat() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let rule = r#"{"operation": "retrieve", "fault": "error", "skip": 1, "times": 2, "everyNth": 3}"#;
    stripe.control(Method::POST, "/faults", rule).await.expect(200);
    let mut statuses = Vec::new();
    for _ in 0..9 {
        statuses.push(stripe.get(&path).await.status.as_u16());
    }
    assert_eq!(statuses, [200, 500, 200, 200, 500, 200, 200, 200, 200]);
    let rules = stripe.control(Method::GET, "/faults", "").await.expect(200);
    assert_eq!((&rules["faults"][0]["seen"], &rules["faults"][0]["failed"]), (&9.into(), &2.into()));
    stripe.control(Method::DELETE, "/faults", "").await.expect(204);
    assert_eq!(stripe.control(Method::GET, "/faults", "").await.expect(200)["faults"], serde_json::json!([]));
}

#[tokio::test]
async fn bad_rules_are_refused() {
    let stripe = Stripe::new();
    for rule in [
        "",
        "{",
        "[]",
        r#"{"operation": "capture"}"#,
        r#"{"operation": "sell", "fault": "error"}"#,
        r#"{"operation": "capture", "fault": "error", "times": 0}"#,
        r#"{"operation": "capture", "fault": "error", "everyNth": 0}"#,
        r#"{"operation": "capture", "fault": "error", "skip": -1}"#,
        r#"{"operation": "capture", "fault": "error", "often": 1}"#,
    ] {
        let error = stripe.control(Method::POST, "/faults", rule).await.expect(400);
        assert!(error["error"]["message"].is_string(), "{rule}: {error}");
    }
}

#[tokio::test]
async fn the_name_of_a_card_can_ask_for_a_fault() {
    let stripe = Stripe::new();
    let form = AUTHORISATION.replace("pm_card_visa", "pm_card_visa_capture_lostResponse");
    let path = stripe.create(&form).await;
    let capture = format!("{path}/capture");
    assert_eq!(stripe.try_post(&capture, "", Some("k")).await.unwrap_err(), Broken);
    assert!(stripe.post_keyed(&capture, "", Some("k")).await.is_replayed());

    let form = AUTHORISATION.replace("pm_card_visa", "pm_card_visa_create_rateLimited");
    stripe.post_keyed(PATH, &form, Some("c")).await.expect(429);
    let intent = stripe.post_keyed(PATH, &form, Some("c")).await.expect(200);
    assert_eq!(intent["status"], "requires_capture");

    let form = AUTHORISATION.replace("pm_card_visa", "pm_card_visa_retrieve_closed");
    let path = path_of(&stripe.post(PATH, &form).await.expect(200));
    let request = || axum::http::Request::get(&path).header("authorization", "Bearer sk_test_1");
    let get = || stripe.try_send(request().body(axum::body::Body::empty()).unwrap());
    assert_eq!(get().await.unwrap_err(), Broken);
    get().await.unwrap().expect(200);
}
