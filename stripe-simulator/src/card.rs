//! The test cards, by the names of <https://docs.stripe.com/testing>.

use serde::{Deserialize, Serialize};

/// A test card.
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

/// Why a card is declined, in Stripe's words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decline {
    pub(crate) code: &'static str,
    pub(crate) decline_code: &'static str,
    pub(crate) message: &'static str,
}

impl TestCard {
    /// The card of a token, `tok_…`.
    pub(crate) fn by_token(token: &str) -> Option<Self> {
        Self::by_name(token.strip_prefix("tok_")?)
    }

    /// The card of a payment method, `pm_card_…`.
    pub(crate) fn by_payment_method(payment_method: &str) -> Option<Self> {
        Self::by_name(payment_method.strip_prefix("pm_card_")?)
    }

    fn by_name(name: &str) -> Option<Self> {
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

    /// Why it is declined, if it is.
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
