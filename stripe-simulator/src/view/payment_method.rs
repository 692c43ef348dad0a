use serde_json::{Value, json};

use crate::card::TestCard;
use crate::intent::PaymentMethod;

/// A PaymentMethod.
pub(super) fn payment_method(method: &PaymentMethod) -> Value {
    let mut card = card(method.card);
    card["display_brand"] = json!(method.card.brand());
    card["generated_from"] = Value::Null;
    card["networks"] = json!({"available": method.card.brand().into_iter().collect::<Vec<_>>(), "preferred": null});
    card["three_d_secure_usage"] = json!({"supported": true});
    json!({
        "id": method.id,
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": billing_details(),
        "card": card,
        "created": method.created,
        "customer": null,
        "livemode": false,
        "metadata": {},
        "type": "card",
    })
}

/// The details of a charge's payment method.
pub(super) fn details(method: &PaymentMethod, amount: u64) -> Value {
    let mut card = card(method.card);
    card["amount_authorized"] = json!(amount);
    card["installments"] = Value::Null;
    card["mandate"] = Value::Null;
    card["network"] = json!(method.card.brand());
    card["three_d_secure"] = Value::Null;
    json!({"card": card, "type": "card"})
}

/// The customer's address, of which nothing is known.
pub(super) fn billing_details() -> Value {
    let address =
        json!({"city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null});
    json!({"address": address, "email": null, "name": null, "phone": null, "tax_id": null})
}

fn card(card: TestCard) -> Value {
    json!({
        "brand": card.brand(),
        "checks": {"address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass"},
        "country": "US",
        "exp_month": 12,
        "exp_year": 2034,
        "fingerprint": card.last4().map(|last4| format!("simulated{last4}")),
        "funding": "credit",
        "last4": card.last4(),
        "wallet": null,
    })
}
