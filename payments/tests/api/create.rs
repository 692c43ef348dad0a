use std::time::Duration;

use common::events::Subject;
use serde_json::json;
use testing::Reply;
use testing::builders::{RESERVATION, order_cancelled, order_completed};

use crate::{PaymentsApp, unknown_order};

const TOKEN: (&str, &str) = ("token", "Token must be provided");
const ORDER_ID: (&str, &str) = ("orderId", "OrderId must be provided");

#[tokio::test]
async fn paying_authorises_the_price_and_announces_it() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    let body = app.pay(&order).await.expect(201);
    assert_eq!(body, json!({"id": body["id"], "orderId": order.id, "status": "authorised"}));
    let stored = &app.stored().await[0];
    assert_eq!(stored["amount"], 1999);
    assert_eq!(
        app.service.published().await,
        [(Subject::PaymentCreated, json!({"id": body["id"], "orderId": order.id, "stripeId": stored["stripeId"]}))]
    );
    // Held, not captured.
    assert_eq!(app.line.statuses().await, ["requires_capture"]);
}

#[tokio::test]
async fn tokens_and_payment_methods_are_accepted_and_trimmed() {
    let app = PaymentsApp::start();
    for (token, brand, last4) in
        [(" tok_visa\n", "visa", "4242"), ("pm_card_visa", "visa", "4242"), ("tok_amex", "amex", "8431")]
    {
        let order = app.order().await;
        app.pay_with(&order, token).await.expect(201);
        assert_eq!(app.payments(&order).await[0]["card"], json!({"brand": brand, "last4": last4}));
    }
}

#[tokio::test]
async fn paying_requires_a_session() {
    let app = PaymentsApp::start();
    // The session is checked before the body.
    app.service.post("/api/payments").json(&json!({})).send().await.expect_error(401, "Not authorized");
}

#[tokio::test]
async fn invalid_fields_are_reported_together() {
    let app = PaymentsApp::start();
    let id = unknown_order();
    for (body, invalid) in [
        (json!({}), &[TOKEN, ORDER_ID][..]),
        (json!({"token": " ", "orderId": "1"}), &[TOKEN, ORDER_ID]),
        (json!({"token": 1, "orderId": id}), &[TOKEN]),
        (json!({"token": null, "orderId": id}), &[TOKEN]),
        (json!({"token": "t".repeat(256), "orderId": id}), &[TOKEN]),
        (json!({"token": "tok_visa", "orderId": 1}), &[ORDER_ID]),
        (json!({"token": "tok_visa", "orderId": "x".repeat(24)}), &[ORDER_ID]),
    ] {
        app.service.post("/api/payments").by(&app.ann).json(&body).send().await.expect_invalid(invalid);
    }
    let post = || app.service.post("/api/payments").by(&app.ann);
    post().json(&json!([])).send().await.expect_error(400, "Request body is not valid JSON");
    post().body("token=tok_visa").send().await.expect_error(415, "Expected application/json");
}

#[tokio::test]
async fn existence_is_checked_before_ownership_and_ownership_before_state() {
    let app = PaymentsApp::start();
    let body = json!({"token": "tok_visa", "orderId": unknown_order()});
    app.service.post("/api/payments").by(&app.ann).json(&body).send().await.expect_error(404, "Not Found");

    // Somebody else's order, and expired: only the former counts.
    let order = app.order().await;
    app.env.clock.advance(RESERVATION);
    let body = json!({"token": "tok_visa", "orderId": order.id});
    let bob = app.env.user("bob");
    app.service.post("/api/payments").by(&bob).json(&body).send().await.expect_error(401, "Not authorized");
    assert!(app.stored().await.is_empty());
}

#[tokio::test]
async fn paying_waits_for_an_order_that_is_about_to_arrive() {
    let app = PaymentsApp::start();
    let order = app.undelivered_order();
    let (paid, ()) = tokio::join!(app.pay(&order), async {
        tokio::task::yield_now().await;
        app.service.deliver(&order).await;
    });
    paid.expect(201);
}

#[tokio::test]
async fn an_order_that_has_ended_cannot_be_paid_for() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.service.deliver(&order_cancelled(&order)).await;
    app.pay(&order).await.expect_error(400, "Cannot pay for a cancelled order");

    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.pay(&order).await.expect_error(400, "Order is already paid");
    app.service.deliver(&order_completed(&order)).await;
    app.pay(&order).await.expect_error(400, "Order is already paid");
    // Even after its expiry.
    app.env.clock.advance(RESERVATION);
    app.pay(&order).await.expect_error(400, "Order is already paid");
    assert_eq!(app.line.intents().await.len(), 1);
}

#[tokio::test]
async fn a_late_payer_is_never_charged() {
    let app = PaymentsApp::start();
    let (in_time, late) = (app.order().await, app.order().await);
    app.env.clock.advance(RESERVATION - Duration::from_millis(1));
    app.pay(&in_time).await.expect(201);
    app.env.clock.advance(Duration::from_millis(1));
    app.pay(&late).await.expect_error(400, "Order has expired");
    assert!(app.statuses(&late).await.is_empty());
    assert_eq!(app.line.intents().await.len(), 1);
}

#[tokio::test]
async fn an_order_that_expires_during_authorisation_ends_voided() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.hold("/confirm");
    let (paid, ()) = tokio::join!(app.pay(&order), async {
        app.line.held().await;
        app.env.clock.advance(RESERVATION);
        app.line.release_all();
    });
    paid.expect_error(400, "Order has expired");
    // The clock has jumped beyond the lease of the request, so the worker may be the one who finishes.
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"]);
    assert!(app.service.published().await.is_empty());
}

#[tokio::test]
async fn a_decline_returns_stripes_message_and_another_card_may_be_tried() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    for (token, message) in [
        ("tok_chargeDeclined", "Your card was declined."),
        ("pm_card_chargeDeclinedInsufficientFunds", "Your card has insufficient funds."),
        ("tok_chargeDeclinedExpiredCard", "Your card has expired."),
    ] {
        app.pay_with(&order, token).await.expect_error(402, message);
    }
    assert_eq!(app.statuses(&order).await, ["declined"; 3]);
    assert_eq!(app.payments(&order).await[0]["card"], json!({"brand": "visa", "last4": "0069"}));
    assert!(app.service.published().await.is_empty());
    app.pay(&order).await.expect(201);
    assert_eq!(app.statuses(&order).await, ["authorised", "declined", "declined", "declined"]);
}

#[tokio::test]
async fn an_unknown_card_is_a_client_error() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay_with(&order, "tok_nope").await.expect_error(400, "No such token: '…'");
    app.pay_with(&order, "pm_nope&x=1").await.expect_error(400, "No such PaymentMethod: '…'");
    assert_eq!(app.statuses(&order).await, ["declined"; 2]);
    app.pay(&order).await.expect(201);
}

#[tokio::test]
async fn a_card_without_a_known_brand_pays() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.pay_with(&order, "tok_unknownBrand").await.expect(201);
    assert_eq!(app.payments(&order).await[0]["card"], json!({"brand": null, "last4": null}));
}

#[tokio::test]
async fn the_eleventh_attempt_to_pay_for_an_order_is_refused() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    for _ in 0..10 {
        app.pay_with(&order, "tok_chargeDeclined").await.expect(402);
    }
    let refused = app.pay(&order).await;
    // The order can be placed again once it has expired.
    assert_eq!(refused.headers["retry-after"], RESERVATION.as_secs().to_string());
    refused.expect_error(429, "Too many requests");
    assert_eq!(app.line.statuses().await, ["canceled"; 10]);
}

#[tokio::test]
async fn twenty_concurrent_payments_authorise_once() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    let body = json!({"token": "tok_visa", "orderId": order.id});
    let requests: Vec<_> =
        (0..20).map(|_| tokio::spawn(app.service.post("/api/payments").by(&app.ann).json(&body).send())).collect();
    let mut paid = 0;
    for reply in requests {
        let reply: Reply = reply.await.unwrap();
        if reply.status == 201 {
            paid += 1;
        } else {
            let message = reply.expect(400)["errors"][0]["message"].take();
            assert!(message == "A payment for this order is in progress" || message == "Order is already paid");
        }
    }
    assert_eq!(paid, 1);
    assert_eq!(app.line.intents().await.len(), 1);
    assert_eq!(app.service.published().await.len(), 1);
}

#[tokio::test]
async fn a_client_that_disconnects_does_not_interrupt_its_payment() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.hold("/confirm");
    tokio::select! {
        _ = app.pay(&order) => panic!("the response was not held"),
        () = app.line.held() => {}
    }
    app.line.release_all();
    // No worker is running.
    app.wait_for_statuses(&order, &["authorised"]).await;
    assert_eq!(app.service.published().await.len(), 1);
}

#[tokio::test]
async fn an_order_cancelled_during_authorisation_ends_voided() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.hold("/confirm");
    let (paid, ()) = tokio::join!(app.pay(&order), async {
        app.line.held().await;
        app.service.deliver(&order_cancelled(&order)).await;
        app.line.release_all();
    });
    paid.expect_error(400, "Cannot pay for a cancelled order");
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"]);
    assert!(app.service.published().await.is_empty());
    app.service.deliver(&order_cancelled(&order)).await;
}

#[tokio::test]
async fn tokens_are_never_stored() {
    let app = PaymentsApp::start();
    let tokens = ["tok_visa", "tok_chargeDeclined", "tok_nope"];
    for token in tokens {
        app.pay_with(&app.order().await, token).await;
    }
    let stored = serde_json::to_string(&app.stored().await).unwrap();
    assert!(tokens.iter().all(|token| !stored.contains(token)), "{stored}");
}
