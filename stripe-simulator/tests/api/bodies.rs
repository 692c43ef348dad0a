//! Whole response bodies.

use insta::assert_json_snapshot;
use serde_json::Value;

use crate::{AUTHORISATION, Stripe};

const PATH: &str = "/v1/payment_intents";

/// Replaces the id of the intent, which differs in every run, with `ID`.
fn with_fixed_id(body: &Value, intent_id: &Value) -> Value {
    let id = intent_id.as_str().and_then(|id| id.strip_prefix("pi_")).expect("id of an intent");
    serde_json::from_str(&body.to_string().replace(id, "ID")).expect("JSON body")
}

#[tokio::test]
async fn an_authorised_intent_has_stripes_format() {
    let form = format!("{AUTHORISATION}&metadata[order_id]=o1&description=seat&expand[]=latest_charge");
    let intent = Stripe::new().post(PATH, &form).await.expect(200);
    assert_json_snapshot!(with_fixed_id(&intent, &intent["id"]), @r#"
    {
      "amount": 1999,
      "amount_capturable": 1999,
      "amount_received": 0,
      "canceled_at": null,
      "cancellation_reason": null,
      "capture_method": "manual",
      "client_secret": "pi_ID_secret_ID",
      "confirmation_method": "automatic",
      "created": 1769860800,
      "currency": "usd",
      "description": "seat",
      "id": "pi_ID",
      "last_payment_error": null,
      "latest_charge": {
        "amount": 1999,
        "amount_captured": 0,
        "amount_refunded": 0,
        "captured": false,
        "created": 1769860800,
        "currency": "usd",
        "failure_code": null,
        "failure_message": null,
        "id": "ch_ID",
        "livemode": false,
        "metadata": {
          "order_id": "o1"
        },
        "object": "charge",
        "paid": true,
        "payment_intent": "pi_ID",
        "payment_method": "pm_ID",
        "payment_method_details": {
          "card": {
            "brand": "visa",
            "country": "US",
            "funding": "credit",
            "last4": "4242"
          },
          "type": "card"
        },
        "refunded": false,
        "status": "succeeded"
      },
      "livemode": false,
      "metadata": {
        "order_id": "o1"
      },
      "next_action": null,
      "object": "payment_intent",
      "payment_method": "pm_ID",
      "payment_method_types": [
        "card"
      ],
      "status": "requires_capture"
    }
    "#);
}

#[tokio::test]
async fn a_declined_payment_has_stripes_format() {
    let form = AUTHORISATION.replace("visa", "chargeDeclinedInsufficientFunds");
    let body = Stripe::new().post(PATH, &form).await.expect(402);
    assert_json_snapshot!(with_fixed_id(&body, &body["error"]["payment_intent"]["id"]), @r#"
    {
      "error": {
        "charge": "ch_ID",
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": "Your card has insufficient funds.",
        "payment_intent": {
          "amount": 1999,
          "amount_capturable": 0,
          "amount_received": 0,
          "canceled_at": null,
          "cancellation_reason": null,
          "capture_method": "manual",
          "client_secret": "pi_ID_secret_ID",
          "confirmation_method": "automatic",
          "created": 1769860800,
          "currency": "usd",
          "description": null,
          "id": "pi_ID",
          "last_payment_error": {
            "charge": "ch_ID",
            "code": "card_declined",
            "decline_code": "insufficient_funds",
            "doc_url": "https://stripe.com/docs/error-codes/card-declined",
            "message": "Your card has insufficient funds.",
            "payment_method": {
              "card": {
                "brand": "visa",
                "country": "US",
                "funding": "credit",
                "last4": "9995"
              },
              "created": 1769860800,
              "id": "pm_ID",
              "livemode": false,
              "object": "payment_method",
              "type": "card"
            },
            "type": "card_error"
          },
          "latest_charge": "ch_ID",
          "livemode": false,
          "metadata": {},
          "next_action": null,
          "object": "payment_intent",
          "payment_method": null,
          "payment_method_types": [
            "card"
          ],
          "status": "requires_payment_method"
        },
        "payment_method": {
          "card": {
            "brand": "visa",
            "country": "US",
            "funding": "credit",
            "last4": "9995"
          },
          "created": 1769860800,
          "id": "pm_ID",
          "livemode": false,
          "object": "payment_method",
          "type": "card"
        },
        "type": "card_error"
      }
    }
    "#);
}

#[tokio::test]
async fn a_refund_has_stripes_format() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let intent = stripe.post(&format!("{path}/capture"), "").await.expect(200);
    let form = format!("payment_intent={}", intent["id"].as_str().unwrap());
    let refund = stripe.post("/v1/refunds", &form).await.expect(200);
    assert_json_snapshot!(with_fixed_id(&refund, &intent["id"]), @r#"
    {
      "amount": 1999,
      "charge": "ch_ID",
      "created": 1769860800,
      "currency": "usd",
      "id": "re_ID",
      "metadata": {},
      "object": "refund",
      "payment_intent": "pi_ID",
      "reason": null,
      "status": "succeeded"
    }
    "#);
}

#[tokio::test]
async fn a_refused_capture_has_stripes_format() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let intent = stripe.post(&format!("{path}/cancel"), "").await.expect(200);
    let body = stripe.post(&format!("{path}/capture"), "").await.expect(400);
    assert_json_snapshot!(with_fixed_id(&body, &intent["id"]), @r#"
    {
      "error": {
        "code": "payment_intent_unexpected_state",
        "message": "This PaymentIntent could not be captured because it has a status of canceled. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.",
        "payment_intent": {
          "amount": 1999,
          "amount_capturable": 0,
          "amount_received": 0,
          "canceled_at": 1769860800,
          "cancellation_reason": null,
          "capture_method": "manual",
          "client_secret": "pi_ID_secret_ID",
          "confirmation_method": "automatic",
          "created": 1769860800,
          "currency": "usd",
          "description": null,
          "id": "pi_ID",
          "last_payment_error": null,
          "latest_charge": "ch_ID",
          "livemode": false,
          "metadata": {},
          "next_action": null,
          "object": "payment_intent",
          "payment_method": "pm_ID",
          "payment_method_types": [
            "card"
          ],
          "status": "canceled"
        },
        "type": "invalid_request_error"
      }
    }
    "#);
}
