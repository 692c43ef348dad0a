use std::collections::HashSet;
use std::time::Duration;

use crate::{AUTHORISATION, PATH, Stripe};

#[tokio::test]
async fn retrying_a_creation_returns_the_original_intent() {
    let stripe = Stripe::new();
    let first = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await;
    assert!(!first.is_replayed());
    let intent = first.expect(200);
    // The retry gets the original reply even though the intent has changed since.
    stripe.post(&format!("{PATH}/{}/capture", intent["id"].as_str().unwrap()), "").await.expect(200);
    let again = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200), intent);

    let other = stripe.post_keyed(PATH, AUTHORISATION, Some("other")).await.expect(200);
    assert_ne!(other["id"], intent["id"]);
    let unkeyed = stripe.post(PATH, AUTHORISATION).await.expect(200);
    assert_ne!(unkeyed["id"], stripe.post(PATH, AUTHORISATION).await.expect(200)["id"]);
}

#[tokio::test]
async fn retrying_a_declined_creation_returns_the_original_error() {
    let stripe = Stripe::new();
    let form = AUTHORISATION.replace("pm_card_visa", "pm_card_chargeDeclined");
    let first = stripe.post_keyed(PATH, &form, Some("k")).await.expect(402);
    let again = stripe.post_keyed(PATH, &form, Some("k")).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(402), first);
}

#[tokio::test]
async fn reusing_a_key_with_other_parameters_fails() {
    let stripe = Stripe::new();
    let intent = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await.expect(200);
    let path = format!("{PATH}/{}", intent["id"].as_str().unwrap());
    let message = "Keys for idempotent requests can only be used with the same parameters they were first used with. \
                   Try using a key other than 'k' if you meant to execute a different request.";
    let other = AUTHORISATION.replace("1999", "2000");
    for reply in [
        stripe.post_keyed(PATH, &other, Some("k")).await,
        stripe.post_keyed(&format!("{path}/capture"), "", Some("k")).await,
        stripe.post_keyed(&format!("{path}/cancel"), "", Some("k")).await,
    ] {
        reply.expect_error(400, "idempotency_error", None, message);
    }
    stripe.post_keyed(&format!("{path}/capture"), "", Some("c")).await.expect(200);
    let refund = format!("payment_intent={}", intent["id"].as_str().unwrap());
    let error = stripe.post_keyed("/v1/refunds", &refund, Some("c")).await.expect(400);
    assert_eq!(error["error"]["type"], "idempotency_error");
}

#[tokio::test]
async fn keys_must_be_1_to_255_characters_long() {
    let stripe = Stripe::new();
    stripe.post_keyed(PATH, AUTHORISATION, Some("")).await.expect(400);
    stripe.post_keyed(PATH, AUTHORISATION, Some(&"k".repeat(256))).await.expect(400);
}

#[tokio::test]
async fn retrying_a_capture_refund_or_cancel_returns_the_original_reply() {
    let stripe = Stripe::new();
    let captured = stripe.authorise().await;
    let capture = format!("{captured}/capture");
    let first = stripe.post_keyed(&capture, "", Some("c")).await.expect(200);
    let refund = format!("payment_intent={}", captured.rsplit('/').next().unwrap());
    let refunded = stripe.post_keyed("/v1/refunds", &refund, Some("r")).await.expect(200);
    assert_eq!(stripe.post_keyed(&capture, "", Some("c")).await.expect(200), first);
    let again = stripe.post_keyed("/v1/refunds", &refund, Some("r")).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200), refunded);

    let cancel = format!("{}/cancel", stripe.authorise().await);
    let first = stripe.post_keyed(&cancel, "", Some("v")).await.expect(200);
    let again = stripe.post_keyed(&cancel, "", Some("v")).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(200), first);
}

#[tokio::test]
async fn twenty_concurrent_requests_with_one_key_act_once() {
    let stripe = std::sync::Arc::new(Stripe::new());
    let create: Vec<_> = (0..20)
        .map(|_| {
            let stripe = stripe.clone();
            tokio::spawn(async move { stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await })
        })
        .collect();
    let mut bodies = HashSet::new();
    for reply in create {
        let reply = reply.await.unwrap();
        // A request that finds another in flight is refused.
        if reply.status.as_u16() == 409 {
            assert_eq!(reply.body["error"]["code"], "idempotency_key_in_use");
        } else {
            bodies.insert(reply.expect(200).to_string());
        }
    }
    assert_eq!(bodies.len(), 1);
    assert_eq!(stripe.get(PATH).await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_in_flight_is_refused() {
    let stripe = Stripe::new();
    // The second starts while the first is delayed.
    let form = AUTHORISATION.replace("visa", "visa_create_delay");
    let create = || stripe.post_keyed(PATH, &form, Some("k"));
    let (first, second) = tokio::join!(create(), create());
    first.expect(200);
    assert_eq!(second.expect(409)["error"]["code"], "idempotency_key_in_use");
    assert!(create().await.is_replayed());
}

#[tokio::test]
async fn failures_are_stored() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let refund = format!("payment_intent={}", path.rsplit('/').next().unwrap());
    let early = stripe.post_keyed("/v1/refunds", &refund, Some("r")).await.expect(400);
    stripe.post(&format!("{path}/capture"), "").await.expect(200);
    // It would succeed now.
    let again = stripe.post_keyed("/v1/refunds", &refund, Some("r")).await;
    assert!(again.is_replayed());
    assert_eq!(again.expect(400), early);
    stripe.post_keyed("/v1/refunds", &refund, Some("r2")).await.expect(200);

    let missing = format!("{PATH}/pi_0123456789abcdef01234567/capture");
    stripe.post_keyed(&missing, "", Some("m")).await.expect(404);
    assert!(stripe.post_keyed(&missing, "", Some("m")).await.is_replayed());
}

#[tokio::test]
async fn errors_of_parameters_and_keys_do_not_use_up_a_key() {
    let stripe = Stripe::new();
    stripe.post_keyed(PATH, "amount=1", Some("k")).await.expect(400);
    stripe.post_keyed(PATH, &format!("{AUTHORISATION}&nothing=1"), Some("k")).await.expect(400);
    let path = stripe.authorise().await;
    stripe.post_keyed(&format!("{path}/capture"), "amount_to_capture=5", Some("k")).await.expect(400);
    stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await.expect(200);
}

#[tokio::test]
async fn a_key_expires_after_a_day() {
    let stripe = Stripe::new();
    let first = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await.expect(200);
    stripe.env.clock.advance(Duration::from_hours(24) - Duration::from_millis(1));
    assert!(stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await.is_replayed());
    stripe.env.clock.advance(Duration::from_millis(1));
    let second = stripe.post_keyed(PATH, AUTHORISATION, Some("k")).await;
    assert!(!second.is_replayed());
    assert_ne!(second.expect(200)["id"], first["id"]);
}

#[tokio::test]
async fn a_key_belongs_to_one_intent() {
    let stripe = Stripe::new();
    let (first, second) = (stripe.authorise().await, stripe.authorise().await);
    stripe.post_keyed(&format!("{first}/capture"), "", Some("k")).await.expect(200);
    let reused = stripe.post_keyed(&format!("{second}/capture"), "", Some("k")).await.expect(400);
    assert_eq!(reused["error"]["type"], "idempotency_error");
    assert_eq!(stripe.get(&second).await.expect(200)["status"], "requires_capture");
}
