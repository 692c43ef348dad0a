//! A payment: one attempt to pay for an order, and its rules.

use std::fmt;

use common::clock::Timestamp;
use common::events::PaymentCreated;
use common::ids::{OrderId, PaymentId, UserId};
use common::money::Money;
use common::store::{Entity, Index, IndexKind, Schema};
use serde::{Deserialize, Serialize};

use crate::card::{Card, CardToken};
use crate::order::OrderCopy;

/// One attempt to pay for an order.
///
/// ```text
/// processing ─┬─ authorised ─┬─ captured ── refunded
///             │              └─ voided
///             ├─ voiding ─── voided
///             └─ declined
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) version: u64,
    pub(crate) order_id: OrderId,
    /// The buyer, who pays.
    pub(crate) user_id: UserId,
    pub(crate) status: PaymentStatus,
    #[serde(with = "common::money::as_cents")]
    pub(crate) amount: Money,
    /// The card to charge; kept only until the outcome is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<CardToken>,
    /// The card, once Stripe has described it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) card: Option<Card>,
    /// The PaymentIntent, `pi_…`, once the card holds the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stripe_id: Option<String>,
    /// The order, while the payment is in flight or holds money. A unique index over this field allows one such payment
    /// per order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live_order_id: Option<OrderId>,
    pub(crate) attempted_at: Timestamp,
}

/// The state of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PaymentStatus {
    /// Stripe was asked to authorise it, or is about to be. The outcome is unknown.
    Processing,
    /// The card holds the amount, but the order can no longer be paid for: the hold is being released.
    Voiding,
    /// The card holds the amount. Nothing is charged yet.
    Authorised,
    /// Charged. The order is complete.
    Captured,
    /// Stripe or the bank refused; nothing is held.
    Declined,
    /// The hold was released.
    Voided,
    /// The charge was refunded.
    Refunded,
}

/// A payment in this state does not allow the transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payment is {0}")]
pub(crate) struct InvalidTransition(pub(crate) PaymentStatus);

impl Entity for Payment {
    type Id = PaymentId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "payments",
        indexes: &[
            Index { name: "payments_by_order", fields: &["orderId"], kind: IndexKind::Plain },
            Index { name: "payments_by_status", fields: &["status"], kind: IndexKind::Plain },
            Index { name: "payments_by_live_order", fields: &["liveOrderId"], kind: IndexKind::Unique },
        ],
        ids: &["orderId", "userId", "liveOrderId"],
        times: &["attemptedAt"],
    };

    fn id(&self) -> PaymentId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Payment {
    /// A new payment that Stripe has not heard of.
    pub(crate) fn attempt(order: &OrderCopy, token: CardToken, now: Timestamp) -> Self {
        Self {
            id: PaymentId::generate(now),
            version: 0,
            order_id: order.id,
            user_id: order.user_id,
            status: PaymentStatus::Processing,
            amount: order.price,
            token: Some(token),
            card: None,
            stripe_id: None,
            live_order_id: Some(order.id),
            attempted_at: now,
        }
    }

    /// Records that the card holds the amount: for the order if it can still be paid for, otherwise to be released.
    ///
    /// Returns `None` if the hold is not for the order, or if the outcome was already known.
    pub(crate) fn hold(
        &mut self,
        stripe_id: String,
        card: Option<Card>,
        order: &OrderCopy,
        now: Timestamp,
    ) -> Option<PaymentCreated> {
        if self.status != PaymentStatus::Processing {
            return None;
        }
        (self.stripe_id, self.card) = (Some(stripe_id.clone()), card);
        if order.check_payable(now).is_err() {
            self.advance(PaymentStatus::Voiding);
            return None;
        }
        self.advance(PaymentStatus::Authorised);
        Some(PaymentCreated { id: self.id, order_id: self.order_id, stripe_id })
    }

    /// Records that the card or Stripe refused. Does nothing if the outcome was already known.
    pub(crate) fn decline(&mut self, card: Option<Card>) {
        if self.status == PaymentStatus::Processing {
            self.card = card;
            self.advance(PaymentStatus::Declined);
        }
    }

    /// Records that the amount was charged.
    pub(crate) fn capture(&mut self) -> Result<(), InvalidTransition> {
        match self.status {
            PaymentStatus::Authorised => self.advance(PaymentStatus::Captured),
            PaymentStatus::Captured => {}
            PaymentStatus::Processing
            | PaymentStatus::Voiding
            | PaymentStatus::Declined
            | PaymentStatus::Voided
            | PaymentStatus::Refunded => return Err(InvalidTransition(self.status)),
        }
        Ok(())
    }

    /// Records that the hold was released.
    pub(crate) fn void(&mut self) -> Result<(), InvalidTransition> {
        match self.status {
            PaymentStatus::Voiding | PaymentStatus::Authorised => self.advance(PaymentStatus::Voided),
            PaymentStatus::Voided => {}
            PaymentStatus::Processing | PaymentStatus::Captured | PaymentStatus::Declined | PaymentStatus::Refunded => {
                return Err(InvalidTransition(self.status));
            }
        }
        Ok(())
    }

    /// Records that the charge was refunded.
    pub(crate) fn refund(&mut self) -> Result<(), InvalidTransition> {
        match self.status {
            PaymentStatus::Captured => self.advance(PaymentStatus::Refunded),
            PaymentStatus::Refunded => {}
            PaymentStatus::Processing
            | PaymentStatus::Voiding
            | PaymentStatus::Authorised
            | PaymentStatus::Declined
            | PaymentStatus::Voided => return Err(InvalidTransition(self.status)),
        }
        Ok(())
    }

    /// The PaymentIntent of a payment whose card holds the amount.
    pub(crate) fn intent(&self) -> Result<&str, InvalidTransition> {
        self.stripe_id.as_deref().ok_or(InvalidTransition(self.status))
    }

    fn advance(&mut self, status: PaymentStatus) {
        self.version += 1;
        self.status = status;
        self.token = None;
        self.live_order_id = status.is_live().then_some(self.order_id);
    }
}

impl fmt::Display for PaymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // As it is serialised.
        f.write_str(match self {
            Self::Processing => "processing",
            Self::Voiding => "voiding",
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        })
    }
}

impl PaymentStatus {
    /// Whether money is held or charged, or may be.
    fn is_live(self) -> bool {
        match self {
            Self::Processing | Self::Voiding | Self::Authorised | Self::Captured => true,
            Self::Declined | Self::Voided | Self::Refunded => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use common::events::OrderStatus;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    fn order() -> OrderCopy {
        OrderCopy {
            id: OrderId::generate(NOW),
            version: 0,
            status: OrderStatus::Created,
            user_id: UserId::generate(NOW),
            expires_at: Timestamp::from_millis(1),
            price: Money::from_cents(1999),
        }
    }

    #[test]
    fn the_schemas_name_existing_fields() {
        let order = order();
        assert_eq!(OrderCopy::SCHEMA.check(&order), Ok(()));
        let payment = Payment::attempt(&order, CardToken::try_from("tok_visa".to_owned()).unwrap(), NOW);
        assert_eq!(Payment::SCHEMA.check(&payment), Ok(()));
    }

    #[test]
    fn a_hold_for_an_expired_order_is_to_be_released_and_announces_nothing() {
        let order = order();
        let mut payment = Payment::attempt(&order, CardToken::try_from("tok_visa".to_owned()).unwrap(), NOW);
        assert_eq!(payment.hold("pi_1".into(), None, &order, order.expires_at), None);
        assert_eq!((payment.status, payment.live_order_id), (PaymentStatus::Voiding, Some(order.id)));
        assert_eq!(payment.capture(), Err(InvalidTransition(PaymentStatus::Voiding)));
        payment.void().unwrap();
        assert_eq!((payment.status, payment.live_order_id), (PaymentStatus::Voided, None));
    }
}
