use serde_json::{Value, json};

use super::charge::charge;
use super::payment_method::payment_method;
use super::{Expand, doc_url};
use crate::intent::{CaptureMethod, Intent, IntentStatus, PaymentError, Redirects};

/// A PaymentIntent.
pub(crate) fn intent(intent: &Intent, expand: Expand) -> Value {
    let (terms, status) = (&intent.terms, intent.status);
    let amount_if = |wanted| if status == wanted { terms.amount } else { 0 };
    let latest_charge = match (expand, &intent.charge) {
        (_, None) => Value::Null,
        (Expand::Nothing, Some(charge)) => json!(charge.id),
        (Expand::LatestCharge, Some(_)) => charge(intent),
    };
    json!({
        "id": intent.public_id(),
        "object": "payment_intent",
        "amount": terms.amount,
        "amount_capturable": amount_if(IntentStatus::RequiresCapture),
        "amount_details": {"tip": {}},
        "amount_received": amount_if(IntentStatus::Succeeded),
        "application": null,
        "application_fee_amount": null,
        "automatic_payment_methods": terms.automatic.map(automatic_payment_methods),
        "canceled_at": intent.cancellation.as_ref().map(|cancellation| cancellation.at),
        "cancellation_reason": intent.cancellation.as_ref().and_then(|cancellation| cancellation.reason.as_ref()),
        "capture_method": capture_method(terms.capture_method),
        "client_secret": format!("pi_{0}_secret_{0}", intent.id),
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": terms.currency,
        "customer": null,
        "description": terms.description,
        "last_payment_error": intent.last_error.as_ref().map(payment_error),
        "latest_charge": latest_charge,
        "livemode": false,
        "metadata": terms.metadata,
        "next_action": next_action(intent),
        "on_behalf_of": null,
        "payment_method": intent.payment_method.as_ref().map(|method| &method.id),
        "payment_method_configuration_details": null,
        "payment_method_options": {
            "card": {"installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic"},
        },
        "payment_method_types": ["card"],
        "processing": null,
        "receipt_email": null,
        "review": null,
        "setup_future_usage": null,
        "shipping": null,
        "statement_descriptor": terms.statement_descriptor,
        "statement_descriptor_suffix": terms.statement_descriptor_suffix,
        "status": status.name(),
        "transfer_data": null,
        "transfer_group": null,
    })
}

/// The error of a payment that failed, without the intent.
pub(crate) fn payment_error(error: &PaymentError) -> Value {
    let failure = error.failure;
    let mut view = json!({
        "code": failure.code(),
        "doc_url": doc_url(failure.code()),
        "message": failure.message(),
        "payment_method": payment_method(&error.payment_method),
        "type": failure.kind(),
    });
    if let Some(charge) = &error.charge {
        view["charge"] = json!(charge);
    }
    if let Some(code) = failure.decline_code() {
        view["decline_code"] = json!(code);
    }
    view
}

fn capture_method(method: CaptureMethod) -> &'static str {
    match method {
        CaptureMethod::Automatic => "automatic",
        CaptureMethod::AutomaticAsync => "automatic_async",
        CaptureMethod::Manual => "manual",
    }
}

fn automatic_payment_methods(redirects: Redirects) -> Value {
    let allow_redirects = match redirects {
        Redirects::Always => "always",
        Redirects::Never => "never",
    };
    json!({"allow_redirects": allow_redirects, "enabled": true})
}

fn next_action(intent: &Intent) -> Value {
    if intent.status != IntentStatus::RequiresAction {
        return Value::Null;
    }
    json!({
        "type": "use_stripe_sdk",
        "use_stripe_sdk": {
            "type": "three_d_secure_redirect",
            "source": format!("src_{}", intent.id),
            "stripe_js": format!("https://hooks.stripe.com/redirect/authenticate/src_{}", intent.id),
        },
    })
}
