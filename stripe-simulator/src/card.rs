//! Test cards, named as in <https://docs.stripe.com/testing>.

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TestCard {
    Visa,
    Mastercard,
    Amex,
    ChargeDeclined,
    ChargeDeclinedInsufficientFunds,
    ChargeDeclinedExpiredCard,
}

/// Why a card is declined, in the codes and words of Stripe.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
}

impl TestCard {
    /// The card of a `tok_…` token.
    pub(crate) fn from_token(token: &str) -> Option<Self> {
        Self::from_name(token.strip_prefix("tok_")?)
    }

    /// The card of a `pm_card_…` payment method.
    pub(crate) fn from_payment_method(payment_method: &str) -> Option<Self> {
        Self::from_name(payment_method.strip_prefix("pm_card_")?)
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "visa" => Some(Self::Visa),
            "mastercard" => Some(Self::Mastercard),
            "amex" => Some(Self::Amex),
            "chargeDeclined" | "visa_chargeDeclined" => Some(Self::ChargeDeclined),
            "chargeDeclinedInsufficientFunds" | "visa_chargeDeclinedInsufficientFunds" => {
                Some(Self::ChargeDeclinedInsufficientFunds)
            }
            "chargeDeclinedExpiredCard" | "visa_chargeDeclinedExpiredCard" => Some(Self::ChargeDeclinedExpiredCard),
            _ => None,
        }
    }

    pub(crate) fn brand(self) -> &'static str {
        match self {
            Self::Mastercard => "mastercard",
            Self::Amex => "amex",
            Self::Visa
            | Self::ChargeDeclined
            | Self::ChargeDeclinedInsufficientFunds
            | Self::ChargeDeclinedExpiredCard => "visa",
        }
    }

    pub(crate) fn last4(self) -> &'static str {
        match self {
            Self::Visa => "4242",
            Self::Mastercard => "4444",
            Self::Amex => "8431",
            Self::ChargeDeclined => "0002",
            Self::ChargeDeclinedInsufficientFunds => "9995",
            Self::ChargeDeclinedExpiredCard => "0069",
        }
    }

    /// The decline that this card triggers, if any.
    pub(crate) fn decline(self) -> Option<Decline> {
        let decline = |code, decline_code, message| Some(Decline { code, decline_code, message });
        match self {
            Self::Visa | Self::Mastercard | Self::Amex => None,
            Self::ChargeDeclined => decline("card_declined", "generic_decline", "Your card was declined."),
            Self::ChargeDeclinedInsufficientFunds => {
                decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
            }
            Self::ChargeDeclinedExpiredCard => decline("expired_card", "expired_card", "Your card has expired."),
        }
    }
}
