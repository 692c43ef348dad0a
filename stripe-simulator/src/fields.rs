//! Parameters that several endpoints share.

use std::collections::BTreeMap;

use crate::card::Card;
use crate::error::StripeError;
use crate::intent::Intent;
use crate::lifecycle::Confirmation;
use crate::parameters::Parameters;
use crate::view::Expand;

/// Takes `expand[]`, of which only `field` is supported.
pub(crate) fn expand(parameters: &mut Parameters, field: &str) -> Result<Expand, StripeError> {
    let mut expand = Expand::Nothing;
    for name in parameters.take_list("expand") {
        if name != field {
            return Err(StripeError::invalid_value("expand", format!("This property cannot be expanded ({name}).")));
        }
        expand = Expand::LatestCharge;
    }
    Ok(expand)
}

/// Takes `metadata[…]`. An empty value stands for no entry.
pub(crate) fn metadata(parameters: &mut Parameters) -> Result<BTreeMap<String, String>, StripeError> {
    const MAX_ENTRIES: usize = 50;
    const MAX_KEY: usize = 40;
    const MAX_VALUE: usize = 500;
    let invalid = |message: String| Err(StripeError::invalid_value("metadata", message));
    let mut metadata = parameters.take_map("metadata");
    metadata.retain(|_, value| !value.is_empty());
    if metadata.len() > MAX_ENTRIES {
        return invalid(format!("Metadata can have at most {MAX_ENTRIES} keys."));
    }
    for (key, value) in &metadata {
        if key.chars().count() > MAX_KEY {
            return invalid(format!("Metadata keys must be at most {MAX_KEY} characters: {key}"));
        }
        if value.chars().count() > MAX_VALUE {
            return invalid(format!(
                "Metadata values can have up to {MAX_VALUE} characters, but you passed in a longer \
                                    value for {key}."
            ));
        }
    }
    Ok(metadata)
}

/// Takes the card of `payment_method` or `payment_method_data`, if there is one.
pub(crate) fn card(parameters: &mut Parameters) -> Result<Option<Card>, StripeError> {
    const TYPE: &str = "payment_method_data[type]";
    const TOKEN: &str = "payment_method_data[card][token]";
    let data = (parameters.take(TYPE), parameters.take(TOKEN));
    match (parameters.take("payment_method").filter(|id| !id.is_empty()), data) {
        (Some(id), (None, None)) => {
            let unknown = || StripeError::no_such("PaymentMethod", &id, "payment_method");
            Card::from_payment_method(&id).map(Some).ok_or_else(unknown)
        }
        (Some(_), _) => Err(StripeError::invalid_value(
            "payment_method",
            "You may only specify one of these parameters: payment_method, payment_method_data.",
        )),
        (None, (None, None)) => Ok(None),
        (None, (None, Some(_))) => Err(StripeError::missing(TYPE)),
        (None, (Some(kind), _)) if kind != "card" => {
            Err(StripeError::invalid_value(TYPE, format!("The payment method type \"{kind}\" is not supported.")))
        }
        (None, (Some(_), None)) => Err(StripeError::missing(TOKEN)),
        (None, (Some(_), Some(token))) => {
            let unknown = || StripeError::no_such("token", &token, TOKEN);
            Card::from_token(&token).map(Some).ok_or_else(unknown)
        }
    }
}

/// Refuses an amount that is not the whole: parts are not supported.
pub(crate) fn expect_whole_amount(name: &str, amount: Option<i64>, intent: &Intent) -> Result<(), StripeError> {
    let whole = intent.terms.amount;
    match amount {
        Some(part) if u64::try_from(part).ok() != Some(whole) => {
            let message = format!("Invalid {name}: this simulator supports only the whole amount, {whole}.");
            Err(StripeError::invalid_value(name, message))
        }
        Some(_) | None => Ok(()),
    }
}

/// Takes the parameters of a confirmation.
pub(crate) fn confirmation(parameters: &mut Parameters) -> Result<Confirmation, StripeError> {
    let card = card(parameters)?;
    let is_error = parameters.take_flag("error_on_requires_action")?;
    let is_off_session = parameters.take_flag("off_session")?;
    // Not needed, because no card here redirects.
    parameters.take("return_url");
    Ok(Confirmation { card, without_action: is_error || is_off_session })
}
