use common::clock::{Clock, Timestamp};
use serde_json::{Value, json};
use stripe_simulator::sign;
use testing::Reply;

use crate::PaymentsApp;

const SECRET: &str = "whsec_new";

async fn send(app: &PaymentsApp, signature: &str, body: &str) -> Reply {
    let request = app.service.post("/api/payments/webhook").header("stripe-signature", signature);
    request.body(body.to_owned()).send().await
}

async fn deliver(app: &PaymentsApp, event: &Value) {
    let body = event.to_string();
    for secret in [SECRET, "whsec_old"] {
        send(app, &sign(secret, app.env.clock.now(), &body), &body).await.expect(200);
    }
}

/// Polls would notice too, but only when the clock moves.
#[tokio::test]
async fn an_event_completes_a_payment_without_a_poll_in_any_order() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay_with(&order, "tok_threeDSecure2Required").await.expect(202);
    app.line.act_at_stripe("authenticate").await;
    for event in app.line.events().await {
        deliver(&app, &event).await;
    }
    app.wait_for(async || app.statuses(&order).await == ["authorised"]).await;
}

#[tokio::test]
async fn a_refund_in_the_dashboard_fails_the_payment() {
    let app = PaymentsApp::start();
    let order = app.captured_order().await;
    app.service.published().await;
    app.line.act_at_stripe("refund").await;
    deliver(&app, &app.line.events().await[0]).await;
    app.wait_for(async || app.statuses(&order).await == ["refunded"]).await;
    assert_eq!(app.service.published().await[0].1["reason"], "refunded");
}

#[tokio::test]
async fn unsigned_stale_and_foreign_events_are_refused() {
    let app = PaymentsApp::start();
    let (now, body) = (app.env.clock.now(), json!({"id": "evt_1", "type": "x", "data": {}}).to_string());
    let (old, new) = (now.as_millis() - 301_000, now.as_millis() + 301_000);
    for signature in [
        String::new(),
        "t=1".to_owned(),
        sign("whsec_other", now, &body),
        sign(SECRET, Timestamp::from_millis(old), &body),
        sign(SECRET, Timestamp::from_millis(new), &body),
        sign(SECRET, now, "{}"),
    ] {
        send(&app, &signature, &body).await.expect_error(400, "Invalid signature");
    }
    send(&app, &sign(SECRET, now, &body), &body).await.expect(200);
}

#[tokio::test]
async fn bodies_that_are_no_events_are_refused() {
    let app = PaymentsApp::start();
    for body in ["", "{", "[]", "{}", r#"{"id": 1, "type": "x"}"#] {
        let signature = sign(SECRET, app.env.clock.now(), body);
        send(&app, &signature, body).await.expect_error(400, "Request body is not valid JSON");
    }
    let long = "x".repeat(10_000_000);
    send(&app, "t=1,v1=00", &long).await.expect_error(413, "Payload Too Large");
}

#[tokio::test]
async fn without_a_secret_there_is_no_route() {
    let app = PaymentsApp::new();
    let secrets = payments::WebhookSecrets::default();
    let service = payments::service(&app.database, app.env.sessions.clone(), app.stripe.clone(), secrets);
    let service = testing::TestApp::new(service, None);
    service.post("/api/payments/webhook").body("{}").send().await.expect_error(404, "Not Found");
}
