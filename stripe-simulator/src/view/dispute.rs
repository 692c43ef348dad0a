use serde_json::{Value, json};

use crate::intent::Intent;

/// How long a dispute can be answered, in seconds.
const ANSWER_SECONDS: i64 = 9 * 24 * 60 * 60;

/// The fields of the evidence, of which none is given.
const EVIDENCE: [&str; 27] = [
    "access_activity_log",
    "billing_address",
    "cancellation_policy",
    "cancellation_policy_disclosure",
    "cancellation_rebuttal",
    "customer_communication",
    "customer_email_address",
    "customer_name",
    "customer_purchase_ip",
    "customer_signature",
    "duplicate_charge_documentation",
    "duplicate_charge_explanation",
    "duplicate_charge_id",
    "product_description",
    "receipt",
    "refund_policy",
    "refund_policy_disclosure",
    "refund_refusal_explanation",
    "service_date",
    "service_documentation",
    "shipping_address",
    "shipping_carrier",
    "shipping_date",
    "shipping_documentation",
    "shipping_tracking_number",
    "uncategorized_file",
    "uncategorized_text",
];

/// The dispute of the latest charge of an intent, or null.
pub(crate) fn dispute(intent: &Intent) -> Value {
    let charge = intent.charge.as_ref();
    let Some((charge, disputed)) = charge.and_then(|charge| Some((charge, charge.disputed?))) else {
        return Value::Null;
    };
    let mut evidence: Value = EVIDENCE.into_iter().map(|field| (field.to_owned(), Value::Null)).collect();
    evidence["enhanced_evidence"] = json!({});
    json!({
        "id": charge.id.replacen("ch_", "du_", 1),
        "object": "dispute",
        "amount": intent.terms.amount,
        "balance_transactions": [],
        "charge": charge.id,
        "created": disputed,
        "currency": intent.terms.currency,
        "enhanced_eligibility_types": [],
        "evidence": evidence,
        "evidence_details": {
            "due_by": disputed + ANSWER_SECONDS,
            "enhanced_eligibility": {},
            "has_evidence": false,
            "past_due": false,
            "submission_count": 0,
        },
        "is_charge_refundable": false,
        "livemode": false,
        "metadata": {},
        "payment_intent": intent.public_id(),
        "reason": "fraudulent",
        "status": "needs_response",
    })
}
