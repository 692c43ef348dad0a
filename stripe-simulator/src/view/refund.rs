use serde_json::{Value, json};

use crate::intent::Intent;

/// The refund of an intent, or null. There is at most one, of the whole amount.
pub(crate) fn refund(intent: &Intent) -> Value {
    let charge = intent.charge.as_ref();
    let Some((charge, refund)) = charge.and_then(|charge| Some((charge, charge.refund.as_ref()?))) else {
        return Value::Null;
    };
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": intent.terms.amount,
        "balance_transaction": refund.id.replacen("re_", "txn_", 1),
        "charge": charge.id,
        "created": refund.created,
        "currency": intent.terms.currency,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": refund.metadata,
        "payment_intent": intent.public_id(),
        "reason": refund.reason,
        "receipt_number": null,
        "source_transfer_reversal": null,
        "status": "succeeded",
        "transfer_reversal": null,
    })
}
