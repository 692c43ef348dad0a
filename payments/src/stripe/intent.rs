//! What Stripe says about a PaymentIntent: <https://docs.stripe.com/api/payment_intents/object>.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::card::Card;

/// A PaymentIntent, of which only the id and the status are required. Other fields may be missing or have an unknown
/// form: a field that is only displayed must not fail a response about money.
#[derive(Clone, Debug, Deserialize)]
pub struct Intent {
    /// `pi_…`.
    pub id: String,
    /// The state of the intent.
    pub status: IntentStatus,
    /// In cents.
    #[serde(default, deserialize_with = "lenient")]
    pub amount: Option<u64>,
    /// Unix time in seconds.
    #[serde(default, deserialize_with = "lenient")]
    pub created: Option<i64>,
    /// Lets the buyer's browser finish the payment.
    #[serde(default, deserialize_with = "lenient")]
    pub client_secret: Option<ClientSecret>,
    #[serde(default, deserialize_with = "lenient")]
    latest_charge: Option<Charge>,
    #[serde(default, deserialize_with = "lenient")]
    last_payment_error: Option<LastError>,
    #[serde(default, deserialize_with = "lenient")]
    metadata: Option<Metadata>,
}

/// The state of a PaymentIntent: <https://docs.stripe.com/payments/paymentintents/lifecycle>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentStatus {
    /// Not confirmed yet, or declined.
    RequiresPaymentMethod,
    /// Not confirmed yet.
    RequiresConfirmation,
    /// The buyer has to do something, for example 3-D Secure.
    RequiresAction,
    /// Confirmed; the outcome is open.
    Processing,
    /// The amount is held.
    RequiresCapture,
    /// Nothing is held and nothing ever will be.
    Canceled,
    /// The amount is captured.
    Succeeded,
    /// A status that this version does not know.
    #[serde(other)]
    Unknown,
}

/// The secret of an intent, which only its buyer may see.
#[derive(Clone, Deserialize)]
pub struct ClientSecret(String);

impl ClientSecret {
    /// The secret in Stripe's format.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Keeps secrets out of logs.
impl fmt::Debug for ClientSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSecret(…)")
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Charge {
    #[serde(deserialize_with = "lenient")]
    refunded: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    disputed: Option<bool>,
    #[serde(deserialize_with = "lenient")]
    payment_method_details: Option<MethodDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct MethodDetails {
    #[serde(deserialize_with = "lenient")]
    card: Option<Card>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct LastError {
    #[serde(deserialize_with = "lenient")]
    code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    decline_code: Option<String>,
    #[serde(deserialize_with = "lenient")]
    payment_method: Option<MethodDetails>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Metadata {
    #[serde(deserialize_with = "lenient")]
    payment_id: Option<String>,
    #[serde(deserialize_with = "lenient")]
    order_id: Option<String>,
}

impl Intent {
    /// The card, if Stripe returned it.
    pub fn card(&self) -> Option<Card> {
        let charged = self.latest_charge.as_ref().and_then(|charge| charge.payment_method_details.as_ref());
        let declined = self.last_payment_error.as_ref().and_then(|error| error.payment_method.as_ref());
        charged.or(declined).and_then(|method| method.card.clone())
    }

    /// The code of the last decline, if there was one.
    pub fn decline_code(&self) -> Option<&str> {
        let error = self.last_payment_error.as_ref()?;
        Some(error.decline_code.as_deref().or(error.code.as_deref()).unwrap_or("unknown"))
    }

    /// Whether the captured amount was refunded.
    pub fn is_refunded(&self) -> bool {
        self.latest_charge.as_ref().and_then(|charge| charge.refunded).unwrap_or(false)
    }

    /// Whether the cardholder disputes the charge.
    pub fn is_disputed(&self) -> bool {
        self.latest_charge.as_ref().and_then(|charge| charge.disputed).unwrap_or(false)
    }

    /// Whether the intent has not been confirmed, so that nothing can be held.
    pub fn is_unconfirmed(&self) -> bool {
        match self.status {
            IntentStatus::RequiresConfirmation => true,
            IntentStatus::RequiresPaymentMethod => self.last_payment_error.is_none(),
            IntentStatus::RequiresAction
            | IntentStatus::Processing
            | IntentStatus::RequiresCapture
            | IntentStatus::Canceled
            | IntentStatus::Succeeded
            | IntentStatus::Unknown => false,
        }
    }

    /// The payment that the intent was created for, if this service created it.
    pub fn payment_id(&self) -> Option<&str> {
        self.metadata.as_ref()?.payment_id.as_deref()
    }

    /// The order that the intent was created for, if this service created it.
    pub fn order_id(&self) -> Option<&str> {
        self.metadata.as_ref()?.order_id.as_deref()
    }
}

/// Reads a field that may be absent, null, or of another type.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| serde_json::from_value(value).ok()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(value: Value) -> Intent {
        serde_json::from_value(value).expect("an intent")
    }

    #[test]
    fn displayed_fields_of_any_form_do_not_fail_an_intent() {
        let forms = [json!(null), json!(1), json!("text"), json!([]), json!({}), json!({"card": null})];
        for form in forms {
            let intent = parse(json!({
                "id": "pi_1", "status": "requires_capture", "amount": form, "client_secret": form, "metadata": form,
                "latest_charge": {"payment_method_details": form, "refunded": form}, "last_payment_error": form,
            }));
            assert_eq!((intent.status, intent.is_refunded()), (IntentStatus::RequiresCapture, false));
        }
        let unexpanded = parse(json!({"id": "pi_1", "status": "succeeded", "latest_charge": "ch_1"}));
        assert_eq!(unexpanded.card(), None);
    }

    #[test]
    fn a_card_without_brand_or_number_is_still_a_card() {
        let details = json!({"card": {"brand": null, "last4": null}});
        let charge = json!({"payment_method_details": details});
        let intent = parse(json!({"id": "pi_1", "status": "requires_capture", "latest_charge": charge}));
        assert_eq!(intent.card(), Some(Card::default()));
    }

    #[test]
    fn an_unknown_status_is_unknown() {
        assert_eq!(parse(json!({"id": "pi_1", "status": "requires_magic"})).status, IntentStatus::Unknown);
    }
}
