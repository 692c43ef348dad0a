use crate::{AUTHORISATION, PATH, Stripe};

const UNEXPECTED: Option<&str> = Some("payment_intent_unexpected_state");
const INVALID: &str = "invalid_request_error";

fn invalid_status(action: &str, status: &str, allowed: &str) -> String {
    let refusal = if action == "captured" {
        "This PaymentIntent could not be captured"
    } else {
        "You cannot cancel this PaymentIntent"
    };
    format!(
        "{refusal} because it has a status of {status}. Only a PaymentIntent with one of the following statuses may be \
         {action}: {allowed}."
    )
}

fn not_cancelable(status: &str) -> String {
    let allowed = "requires_payment_method, requires_capture, requires_reauthorization, requires_confirmation, \
                   requires_action, processing";
    invalid_status("canceled", status, allowed)
}

fn refund_form(path: &str) -> String {
    format!("payment_intent={}", path.rsplit('/').next().expect("intent id"))
}

#[tokio::test]
async fn a_captured_intent_cannot_be_captured_again_or_cancelled() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let intent = stripe.post(&format!("{path}/capture"), "expand[]=latest_charge").await.expect(200);
    assert_eq!((&intent["status"], &intent["amount_received"]), (&"succeeded".into(), &1999.into()));
    assert_eq!(intent["latest_charge"]["captured"], true);
    let again = stripe.post(&format!("{path}/capture"), "").await;
    let message = "This PaymentIntent could not be captured because it has already been captured.";
    let error = again.expect_error(400, INVALID, UNEXPECTED, message);
    assert_eq!(error["payment_intent"]["status"], "succeeded");
    let cancel = stripe.post(&format!("{path}/cancel"), "").await;
    cancel.expect_error(400, INVALID, UNEXPECTED, &not_cancelable("succeeded"));
    assert_eq!(stripe.get(&path).await.expect(200)["status"], "succeeded");
}

#[tokio::test]
async fn a_cancelled_intent_cannot_be_cancelled_again_or_captured() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let intent = stripe.post(&format!("{path}/cancel"), "").await.expect(200);
    assert_eq!((&intent["status"], &intent["amount_capturable"]), (&"canceled".into(), &0.into()));
    let again = stripe.post(&format!("{path}/cancel"), "").await;
    again.expect_error(400, INVALID, UNEXPECTED, &not_cancelable("canceled"));
    let capture = stripe.post(&format!("{path}/capture"), "").await;
    capture.expect_error(400, INVALID, UNEXPECTED, &invalid_status("captured", "canceled", "requires_capture"));
}

#[tokio::test]
async fn an_intent_is_refunded_once_and_only_after_capture() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let early = stripe.post("/v1/refunds", &refund_form(&path)).await.expect(400);
    assert_eq!(early["error"]["code"], "payment_intent_unexpected_state");
    stripe.post(&format!("{path}/capture"), "").await.expect(200);
    let refund = stripe.post("/v1/refunds", &refund_form(&path)).await.expect(200);
    assert_eq!((&refund["status"], &refund["amount"]), (&"succeeded".into(), &1999.into()));
    let again = stripe.post("/v1/refunds", &refund_form(&path)).await;
    let message = format!("Charge {} has already been refunded.", refund["charge"].as_str().unwrap());
    again.expect_error(400, INVALID, Some("charge_already_refunded"), &message);
    let intent = stripe.get(&format!("{path}?expand[]=latest_charge")).await.expect(200);
    assert_eq!((&intent["status"], &intent["latest_charge"]["refunded"]), (&"succeeded".into(), &true.into()));
}

#[tokio::test]
async fn a_declined_intent_can_be_cancelled_but_not_captured() {
    let stripe = Stripe::new();
    let form = AUTHORISATION.replace("visa", "chargeDeclined");
    let declined = stripe.post("/v1/payment_intents", &form).await.expect(402);
    let path = format!("/v1/payment_intents/{}", declined["error"]["payment_intent"]["id"].as_str().unwrap());
    stripe.post(&format!("{path}/capture"), "").await.expect(400);
    assert_eq!(stripe.post(&format!("{path}/cancel"), "").await.expect(200)["status"], "canceled");
}

#[tokio::test]
async fn automatic_capture_succeeds_immediately() {
    let stripe = Stripe::new();
    for method in ["automatic", "automatic_async"] {
        let intent = stripe.post("/v1/payment_intents", &AUTHORISATION.replace("manual", method)).await.expect(200);
        assert_eq!((&intent["status"], &intent["capture_method"]), (&"succeeded".into(), &method.into()));
    }
}

#[tokio::test]
async fn unknown_intents_are_not_found() {
    let stripe = Stripe::new();
    for id in ["pi_1", "pi_0123456789abcdef01234567", "x"] {
        let path = format!("/v1/payment_intents/{id}");
        let message = format!("No such payment_intent: '{id}'");
        for reply in [
            stripe.get(&path).await,
            stripe.post(&format!("{path}/capture"), "").await,
            stripe.post(&format!("{path}/cancel"), "").await,
        ] {
            reply.expect_error(404, INVALID, Some("resource_missing"), &message);
        }
        let refund = stripe.post("/v1/refunds", &refund_form(&path)).await;
        refund.expect_error(400, INVALID, Some("resource_missing"), &message);
    }
}

#[tokio::test]
async fn an_intent_is_confirmed_after_its_creation() {
    let stripe = Stripe::new();
    let form = "amount=1999&currency=usd&capture_method=manual";
    let path = stripe.create(form).await;
    let intent = stripe.get(&path).await.expect(200);
    assert_eq!((&intent["status"], intent["latest_charge"].is_null()), (&"requires_payment_method".into(), true));
    let confirm = format!("{path}/confirm");
    let error = stripe.post(&confirm, "").await.expect(400);
    assert_eq!(error["error"]["code"], "payment_intent_unexpected_state");
    let intent = stripe.post(&confirm, "payment_method=pm_card_visa&return_url=https://a.test").await.expect(200);
    assert_eq!(intent["status"], "requires_capture");
    let again = stripe.post(&confirm, "").await.expect(400);
    assert_eq!(again["error"]["payment_intent"]["status"], "requires_capture");

    let path = stripe.create(&format!("{form}&payment_method=pm_card_visa")).await;
    assert_eq!(stripe.get(&path).await.expect(200)["status"], "requires_confirmation");
    assert_eq!(stripe.post(&format!("{path}/confirm"), "").await.expect(200)["status"], "requires_capture");
}

#[tokio::test]
async fn a_declined_intent_can_be_confirmed_with_another_card() {
    let stripe = Stripe::new();
    let declined = stripe.post(PATH, &AUTHORISATION.replace("visa", "chargeDeclined")).await.expect(402);
    let declined = &declined["error"]["payment_intent"];
    let path = format!("{PATH}/{}", declined["id"].as_str().unwrap());
    let intent = stripe.post(&format!("{path}/confirm"), "payment_method=pm_card_mastercard").await.expect(200);
    assert_eq!((&intent["status"], intent["last_payment_error"].is_null()), (&"requires_capture".into(), true));
    assert_ne!(intent["latest_charge"], declined["latest_charge"]);
}

#[tokio::test]
async fn a_cancellation_can_have_a_reason() {
    let stripe = Stripe::new();
    let cancel = format!("{}/cancel", stripe.authorise().await);
    stripe.post(&cancel, "cancellation_reason=automatic").await.expect(400);
    let intent = stripe.post(&cancel, "cancellation_reason=abandoned").await.expect(200);
    assert_eq!(intent["cancellation_reason"], "abandoned");
}

#[tokio::test]
async fn malformed_requests_are_refused_in_stripes_format() {
    let stripe = Stripe::new();
    for path in ["/v1/payment_intents/%FF", "/v1/payment_intents/pi_%00", "/v1/payment_intents?%FF=%FF&limit[a=1"] {
        let error = stripe.get(path).await;
        assert!(error.status.is_client_error(), "{path}");
        assert!(error.body["error"]["type"].is_string(), "{path}");
    }
    for form in ["&&&", "amount", "amount=&currency=", "amount=1e3&currency=usd", "amount=%ZZ"] {
        let error = stripe.post(PATH, form).await.expect(400);
        assert_eq!(error["error"]["type"], "invalid_request_error", "{form}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn concurrent_captures_capture_once() {
    let stripe = std::sync::Arc::new(Stripe::new());
    let capture = format!("{}/capture", stripe.authorise().await);
    let captures: Vec<_> = (0..20)
        .map(|number| {
            let (stripe, capture) = (stripe.clone(), capture.clone());
            tokio::spawn(async move { stripe.post_keyed(&capture, "", Some(&format!("k{number}"))).await })
        })
        .collect();
    let mut captured = 0;
    for reply in captures {
        let reply = reply.await.unwrap();
        captured += usize::from(reply.status.as_u16() == 200);
        assert!([200, 400].contains(&reply.status.as_u16()), "{}", reply.body);
    }
    assert_eq!(captured, 1);
    let succeeded = |kind: &&String| *kind == "payment_intent.succeeded";
    assert_eq!(stripe.event_types().await.iter().filter(succeeded).count(), 1);
}
