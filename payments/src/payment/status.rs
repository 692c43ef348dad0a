//! The states of a payment.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The state of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentStatus {
    /// Known to us and perhaps to Stripe. Nothing is held.
    Recorded,
    /// The intent is being confirmed. The outcome is unknown.
    Confirming,
    /// The buyer has to do something, for example 3-D Secure. Nothing is held.
    RequiresAction,
    /// The amount is held, and `payment:created` is announced.
    Authorised,
    /// The order is complete: the amount is being captured.
    Capturing,
    /// The amount is charged. The order is complete.
    Captured,
    /// The intent is being canceled, and what it holds released.
    Voiding,
    /// Nothing is held.
    Voided,
    /// The bank declined the card or Stripe rejected the request. Nothing is held.
    Declined,
    /// The charge is being refunded.
    Refunding,
    /// The charge was refunded.
    Refunded,
    /// Stripe rejects the next step for good. The staff has to look at it.
    Stuck,
}

/// The error of a transition that a payment in this state does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payment is {0}")]
pub(crate) struct InvalidTransition(pub(crate) PaymentStatus);

impl fmt::Display for PaymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Must equal the serialised form: queries compare with it.
        f.write_str(match self {
            Self::Recorded => "recorded",
            Self::Confirming => "confirming",
            Self::RequiresAction => "requires_action",
            Self::Authorised => "authorised",
            Self::Capturing => "capturing",
            Self::Captured => "captured",
            Self::Voiding => "voiding",
            Self::Voided => "voided",
            Self::Declined => "declined",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Stuck => "stuck",
        })
    }
}

impl PaymentStatus {
    /// Whether something remains to be done or found out.
    pub fn is_unsettled(self) -> bool {
        match self {
            Self::Recorded
            | Self::Confirming
            | Self::RequiresAction
            | Self::Capturing
            | Self::Voiding
            | Self::Refunding
            | Self::Stuck => true,
            Self::Authorised | Self::Captured | Self::Voided | Self::Declined | Self::Refunded => false,
        }
    }

    /// Whether the payment holds no money and never will.
    pub fn is_ended(self) -> bool {
        match self {
            Self::Voided | Self::Declined | Self::Refunded => true,
            Self::Recorded
            | Self::Confirming
            | Self::RequiresAction
            | Self::Authorised
            | Self::Capturing
            | Self::Captured
            | Self::Voiding
            | Self::Refunding
            | Self::Stuck => false,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn statuses_display_as_they_are_serialised() {
        for status in super::super::tests::STATUSES {
            assert_eq!(serde_json::to_value(status).unwrap(), status.to_string());
        }
    }
}
