//! Whole response bodies.

use insta::assert_json_snapshot;
use serde_json::Value;

use crate::{AUTHORISATION, PATH, Stripe, path_of};

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
      "amount_details": {
        "tip": {}
      },
      "amount_received": 0,
      "application": null,
      "application_fee_amount": null,
      "automatic_payment_methods": {
        "allow_redirects": "always",
        "enabled": true
      },
      "canceled_at": null,
      "cancellation_reason": null,
      "capture_method": "manual",
      "client_secret": "pi_ID_secret_ID",
      "confirmation_method": "automatic",
      "created": 1769860800,
      "currency": "usd",
      "customer": null,
      "description": "seat",
      "id": "pi_ID",
      "last_payment_error": null,
      "latest_charge": {
        "amount": 1999,
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": null,
        "billing_details": {
          "address": {
            "city": null,
            "country": null,
            "line1": null,
            "line2": null,
            "postal_code": null,
            "state": null
          },
          "email": null,
          "name": null,
          "phone": null,
          "tax_id": null
        },
        "calculated_statement_descriptor": null,
        "captured": false,
        "created": 1769860800,
        "currency": "usd",
        "customer": null,
        "description": "seat",
        "disputed": false,
        "failure_balance_transaction": null,
        "failure_code": null,
        "failure_message": null,
        "fraud_details": {},
        "id": "ch_ID",
        "livemode": false,
        "metadata": {
          "order_id": "o1"
        },
        "object": "charge",
        "on_behalf_of": null,
        "outcome": {
          "advice_code": null,
          "network_advice_code": null,
          "network_decline_code": null,
          "network_status": "approved_by_network",
          "reason": null,
          "risk_level": "normal",
          "risk_score": 0,
          "seller_message": "Payment complete.",
          "type": "authorized"
        },
        "paid": true,
        "payment_intent": "pi_ID",
        "payment_method": "pm_ID",
        "payment_method_details": {
          "card": {
            "amount_authorized": 1999,
            "brand": "visa",
            "checks": {
              "address_line1_check": null,
              "address_postal_code_check": null,
              "cvc_check": "pass"
            },
            "country": "US",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": "simulated4242",
            "funding": "credit",
            "installments": null,
            "last4": "4242",
            "mandate": null,
            "network": "visa",
            "three_d_secure": null,
            "wallet": null
          },
          "type": "card"
        },
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": false,
        "review": null,
        "shipping": null,
        "source_transfer": null,
        "statement_descriptor": null,
        "statement_descriptor_suffix": null,
        "status": "succeeded",
        "transfer_data": null,
        "transfer_group": null
      },
      "livemode": false,
      "metadata": {
        "order_id": "o1"
      },
      "next_action": null,
      "object": "payment_intent",
      "on_behalf_of": null,
      "payment_method": "pm_ID",
      "payment_method_configuration_details": null,
      "payment_method_options": {
        "card": {
          "installments": null,
          "mandate_options": null,
          "network": null,
          "request_three_d_secure": "automatic"
        }
      },
      "payment_method_types": [
        "card"
      ],
      "processing": null,
      "receipt_email": null,
      "review": null,
      "setup_future_usage": null,
      "shipping": null,
      "statement_descriptor": null,
      "statement_descriptor_suffix": null,
      "status": "requires_capture",
      "transfer_data": null,
      "transfer_group": null
    }
    "#);
}

#[tokio::test]
async fn a_declined_payment_has_stripes_format() {
    let form = AUTHORISATION.replace("visa", "chargeDeclinedInsufficientFunds");
    let stripe = Stripe::new();
    let mut body = stripe.post(PATH, &form).await.expect(402);
    let intent = body["error"]["payment_intent"].take();
    assert_eq!(intent, stripe.get(&path_of(&intent)).await.expect(200));
    assert_json_snapshot!(with_fixed_id(&body, &intent["id"]), @r#"
    {
      "error": {
        "charge": "ch_ID",
        "code": "card_declined",
        "decline_code": "insufficient_funds",
        "doc_url": "https://stripe.com/docs/error-codes/card-declined",
        "message": "Your card has insufficient funds.",
        "payment_intent": null,
        "payment_method": {
          "allow_redisplay": "unspecified",
          "billing_details": {
            "address": {
              "city": null,
              "country": null,
              "line1": null,
              "line2": null,
              "postal_code": null,
              "state": null
            },
            "email": null,
            "name": null,
            "phone": null,
            "tax_id": null
          },
          "card": {
            "brand": "visa",
            "checks": {
              "address_line1_check": null,
              "address_postal_code_check": null,
              "cvc_check": "pass"
            },
            "country": "US",
            "display_brand": "visa",
            "exp_month": 12,
            "exp_year": 2034,
            "fingerprint": "simulated9995",
            "funding": "credit",
            "generated_from": null,
            "last4": "9995",
            "networks": {
              "available": [
                "visa"
              ],
              "preferred": null
            },
            "three_d_secure_usage": {
              "supported": true
            },
            "wallet": null
          },
          "created": 1769860800,
          "customer": null,
          "id": "pm_ID",
          "livemode": false,
          "metadata": {},
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
    let refund_id = refund["id"].as_str().and_then(|id| id.strip_prefix("re_")).expect("id of a refund");
    let fixed = with_fixed_id(&refund, &intent["id"]).to_string().replace(refund_id, "REFUND");
    let fixed: Value = serde_json::from_str(&fixed).expect("JSON body");
    assert_json_snapshot!(fixed, @r#"
    {
      "amount": 1999,
      "balance_transaction": "txn_REFUND",
      "charge": "ch_ID",
      "created": 1769860800,
      "currency": "usd",
      "destination_details": {
        "card": {
          "reference_status": "pending",
          "reference_type": "acquirer_reference_number",
          "type": "refund"
        },
        "type": "card"
      },
      "id": "re_REFUND",
      "metadata": {},
      "object": "refund",
      "payment_intent": "pi_ID",
      "reason": null,
      "receipt_number": null,
      "source_transfer_reversal": null,
      "status": "succeeded",
      "transfer_reversal": null
    }
    "#);
}

#[tokio::test]
async fn a_refused_capture_has_stripes_format() {
    let stripe = Stripe::new();
    let path = stripe.authorise().await;
    let intent = stripe.post(&format!("{path}/cancel"), "").await.expect(200);
    let mut body = stripe.post(&format!("{path}/capture"), "").await.expect(400);
    assert_eq!(body["error"]["payment_intent"].take(), intent);
    assert_json_snapshot!(body, @r#"
    {
      "error": {
        "code": "payment_intent_unexpected_state",
        "message": "This PaymentIntent could not be captured because it has a status of canceled. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.",
        "payment_intent": null,
        "type": "invalid_request_error"
      }
    }
    "#);
}
