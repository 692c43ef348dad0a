use serde_json::{Value, json};

use super::payment_method::{billing_details, details};
use crate::card::Failure;
use crate::intent::{Charge, ChargeState, Intent};

/// The latest charge of an intent, or null.
pub(crate) fn charge(intent: &Intent) -> Value {
    let Some(charge) = &intent.charge else { return Value::Null };
    let amount = intent.terms.amount;
    let failure = failure(charge);
    let is_captured = charge.state == ChargeState::Captured;
    let amount_if = |condition: bool| if condition { amount } else { 0 };
    json!({
        "id": charge.id,
        "object": "charge",
        "amount": amount,
        "amount_captured": amount_if(is_captured),
        // Stripe reports a released authorisation as refunded, although nothing was captured.
        "amount_refunded": amount_if(charge.is_refunded()),
        "application": null,
        "application_fee": null,
        "application_fee_amount": null,
        "balance_transaction": is_captured.then(|| charge.id.replacen("ch_", "txn_", 1)),
        "billing_details": billing_details(),
        "calculated_statement_descriptor": intent.terms.statement_descriptor,
        "captured": is_captured,
        "created": charge.created,
        "currency": intent.terms.currency,
        "customer": null,
        "description": intent.terms.description,
        "disputed": charge.disputed.is_some(),
        "failure_balance_transaction": null,
        "failure_code": failure.map(Failure::code),
        "failure_message": failure.map(Failure::message),
        "fraud_details": {},
        "livemode": false,
        "metadata": intent.terms.metadata,
        "on_behalf_of": null,
        "outcome": outcome(charge),
        "paid": failure.is_none() && charge.state != ChargeState::Pending,
        "payment_intent": intent.public_id(),
        "payment_method": charge.payment_method.id,
        "payment_method_details": details(&charge.payment_method, amount),
        "receipt_email": null,
        "receipt_number": null,
        "receipt_url": null,
        "refunded": charge.is_refunded(),
        "review": null,
        "shipping": null,
        "source_transfer": null,
        "statement_descriptor": intent.terms.statement_descriptor,
        "statement_descriptor_suffix": intent.terms.statement_descriptor_suffix,
        "status": status(charge),
        "transfer_data": null,
        "transfer_group": null,
    })
}

fn failure(charge: &Charge) -> Option<Failure> {
    match charge.state {
        ChargeState::Failed(failure) => Some(failure),
        ChargeState::Pending | ChargeState::Authorised(_) | ChargeState::Voided | ChargeState::Captured => None,
    }
}

fn status(charge: &Charge) -> &'static str {
    match charge.state {
        ChargeState::Pending => "pending",
        ChargeState::Failed(_) => "failed",
        ChargeState::Authorised(_) | ChargeState::Voided | ChargeState::Captured => "succeeded",
    }
}

fn outcome(charge: &Charge) -> Value {
    let (network_status, reason, message, kind) = match failure(charge) {
        Some(failure) => (
            "declined_by_network",
            failure.decline_code(),
            "The bank did not return any further details with this decline.",
            "issuer_declined",
        ),
        None => ("approved_by_network", None, "Payment complete.", "authorized"),
    };
    json!({
        "advice_code": null,
        "network_advice_code": null,
        "network_decline_code": null,
        "network_status": network_status,
        "reason": reason,
        "risk_level": "normal",
        "risk_score": 0,
        "seller_message": message,
        "type": kind,
    })
}
