//! Test cards, named as in <https://docs.stripe.com/testing>: `tok_NAME` as a token, `pm_card_NAME` as a payment method.

use serde::{Deserialize, Serialize};

use crate::fault::{CardFault, FaultKind, Operation};

/// A card as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Card {
    pub(crate) kind: TestCard,
    /// The fault that the name asks for.
    pub(crate) fault: Option<CardFault>,
    /// The token, if it can be used only once.
    pub(crate) single_use: Option<String>,
}

/// What a card does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TestCard {
    Visa,
    Mastercard,
    Amex,
    UnknownBrand,
    ThreeDSecure2Required,
    AuthenticationRequired,
    Processing,
    CreateDispute,
    ChargeDeclined,
    ChargeDeclinedInsufficientFunds,
    ChargeDeclinedExpiredCard,
}

/// What happens when an intent is confirmed with a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Response {
    Authorised,
    AuthenticationRequired,
    Processing,
    Declined(Failure),
}

/// Why a payment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Failure {
    GenericDecline,
    InsufficientFunds,
    ExpiredCard,
    AuthenticationRequired,
    AuthenticationFailed,
}

impl Card {
    /// The card of a `tok_…` token.
    pub(crate) fn from_token(token: &str) -> Option<Self> {
        let name = token.strip_prefix("tok_")?;
        match name.split_once("_once_") {
            Some((name, rest)) if !rest.is_empty() => {
                Some(Self { single_use: Some(token.to_owned()), ..Self::from_name(name)? })
            }
            _ => Self::from_name(name),
        }
    }

    /// The card of a `pm_card_…` payment method.
    pub(crate) fn from_payment_method(payment_method: &str) -> Option<Self> {
        Self::from_name(payment_method.strip_prefix("pm_card_")?)
    }

    fn from_name(name: &str) -> Option<Self> {
        let with_fault = || {
            let (operation, fault) = name.strip_prefix("visa_")?.split_once('_')?;
            let fault = CardFault { operation: Operation::parse(operation)?, kind: FaultKind::parse(fault)? };
            Some(Self { kind: TestCard::Visa, fault: Some(fault), single_use: None })
        };
        let plain = |kind| Self { kind, fault: None, single_use: None };
        TestCard::from_name(name).map(plain).or_else(with_fault)
    }
}

impl TestCard {
    fn from_name(name: &str) -> Option<Self> {
        match name {
            "visa" => Some(Self::Visa),
            "mastercard" => Some(Self::Mastercard),
            "amex" => Some(Self::Amex),
            "unknownBrand" => Some(Self::UnknownBrand),
            "threeDSecure2Required" => Some(Self::ThreeDSecure2Required),
            "authenticationRequired" => Some(Self::AuthenticationRequired),
            "processing" => Some(Self::Processing),
            "createDispute" => Some(Self::CreateDispute),
            "chargeDeclined" | "visa_chargeDeclined" => Some(Self::ChargeDeclined),
            "chargeDeclinedInsufficientFunds" | "visa_chargeDeclinedInsufficientFunds" => {
                Some(Self::ChargeDeclinedInsufficientFunds)
            }
            "chargeDeclinedExpiredCard" | "visa_chargeDeclinedExpiredCard" => Some(Self::ChargeDeclinedExpiredCard),
            _ => None,
        }
    }

    pub(crate) fn brand(self) -> Option<&'static str> {
        match self {
            Self::UnknownBrand => None,
            Self::Mastercard => Some("mastercard"),
            Self::Amex => Some("amex"),
            Self::Visa
            | Self::ThreeDSecure2Required
            | Self::AuthenticationRequired
            | Self::Processing
            | Self::CreateDispute
            | Self::ChargeDeclined
            | Self::ChargeDeclinedInsufficientFunds
            | Self::ChargeDeclinedExpiredCard => Some("visa"),
        }
    }

    pub(crate) fn last4(self) -> Option<&'static str> {
        match self {
            Self::UnknownBrand => None,
            Self::Visa | Self::Processing => Some("4242"),
            Self::Mastercard => Some("4444"),
            Self::Amex => Some("8431"),
            Self::ThreeDSecure2Required => Some("3220"),
            Self::AuthenticationRequired => Some("3184"),
            Self::CreateDispute => Some("0259"),
            Self::ChargeDeclined => Some("0002"),
            Self::ChargeDeclinedInsufficientFunds => Some("9995"),
            Self::ChargeDeclinedExpiredCard => Some("0069"),
        }
    }

    /// What happens when an intent is confirmed with this card.
    pub(crate) fn response(self) -> Response {
        match self {
            Self::Visa | Self::Mastercard | Self::Amex | Self::UnknownBrand | Self::CreateDispute => {
                Response::Authorised
            }
            Self::ThreeDSecure2Required | Self::AuthenticationRequired => Response::AuthenticationRequired,
            Self::Processing => Response::Processing,
            Self::ChargeDeclined => Response::Declined(Failure::GenericDecline),
            Self::ChargeDeclinedInsufficientFunds => Response::Declined(Failure::InsufficientFunds),
            Self::ChargeDeclinedExpiredCard => Response::Declined(Failure::ExpiredCard),
        }
    }
}

impl Failure {
    /// The type of the error.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::AuthenticationFailed => "invalid_request_error",
            Self::GenericDecline | Self::InsufficientFunds | Self::ExpiredCard | Self::AuthenticationRequired => {
                "card_error"
            }
        }
    }

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::GenericDecline | Self::InsufficientFunds => "card_declined",
            Self::ExpiredCard => "expired_card",
            Self::AuthenticationRequired => "authentication_required",
            Self::AuthenticationFailed => "payment_intent_authentication_failure",
        }
    }

    pub(crate) fn decline_code(self) -> Option<&'static str> {
        match self {
            Self::GenericDecline => Some("generic_decline"),
            Self::InsufficientFunds => Some("insufficient_funds"),
            Self::ExpiredCard => Some("expired_card"),
            Self::AuthenticationRequired => Some("authentication_required"),
            Self::AuthenticationFailed => None,
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::GenericDecline => "Your card was declined.",
            Self::InsufficientFunds => "Your card has insufficient funds.",
            Self::ExpiredCard => "Your card has expired.",
            Self::AuthenticationRequired => "Your card was declined. This transaction requires authentication.",
            Self::AuthenticationFailed => {
                "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new \
                 PaymentMethod to attempt to fulfill this PaymentIntent again."
            }
        }
    }
}
