//! Payments and their rules.

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
    /// The buyer.
    pub(crate) user_id: UserId,
    pub(crate) status: PaymentStatus,
    #[serde(with = "common::money::as_cents")]
    pub(crate) amount: Money,
    /// The card to charge. Deleted once the outcome is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<CardToken>,
    /// The card, once Stripe returns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) card: Option<Card>,
    /// The PaymentIntent, `pi_…`, once the amount is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stripe_id: Option<String>,
    /// The order, while the payment is in flight or holds money. A unique index over this field limits an order to one
    /// such payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live_order_id: Option<OrderId>,
    pub(crate) attempted_at: Timestamp,
}

/// The state of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PaymentStatus {
    /// Being authorised. The outcome is unknown.
    Processing,
    /// The amount is held, but the order can no longer be paid for: the hold is being released.
    Voiding,
    /// The amount is held. Nothing is charged yet.
    Authorised,
    /// The amount is charged. The order is complete.
    Captured,
    /// The bank declined the card or Stripe rejected the request. Nothing is held.
    Declined,
    /// The hold was released.
    Voided,
    /// The charge was refunded.
    Refunded,
}

/// The error of a transition that a payment in this state does not allow.
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
    /// Creates a payment that is not yet sent to Stripe.
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

    /// Records that the amount is held. If the order can no longer be paid for, the hold is to be released.
    ///
    /// Returns the event to publish. There is none if the hold is to be released or the outcome was already known.
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

    /// Records that the bank or Stripe declined. Does nothing if the outcome was already known.
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

    /// The PaymentIntent of a payment that holds or held money.
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
        // Must equal the serialised form: queries compare with it.
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
    /// Whether the outcome of the payment is still open.
    pub(crate) fn is_in_flight(self) -> bool {
        match self {
            Self::Processing | Self::Voiding => true,
            Self::Authorised | Self::Captured | Self::Declined | Self::Voided | Self::Refunded => false,
        }
    }

    /// Whether the payment is in flight or holds money.
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

    const STATUSES: [PaymentStatus; 7] = [
        PaymentStatus::Processing,
        PaymentStatus::Voiding,
        PaymentStatus::Authorised,
        PaymentStatus::Captured,
        PaymentStatus::Declined,
        PaymentStatus::Voided,
        PaymentStatus::Refunded,
    ];

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

    fn payment(order: &OrderCopy) -> Payment {
        Payment::attempt(order, CardToken::try_from("tok_visa".to_owned()).unwrap(), NOW)
    }

    #[test]
    fn the_schema_names_existing_fields() {
        assert_eq!(Payment::SCHEMA.check(&payment(&order())), Ok(()));
    }

    #[test]
    fn statuses_display_as_they_are_serialised() {
        for status in STATUSES {
            assert_eq!(serde_json::to_value(status).unwrap(), status.to_string());
        }
    }

    #[test]
    fn a_hold_for_an_expired_order_is_released_and_not_announced() {
        let order = order();
        let mut payment = payment(&order);
        assert_eq!(payment.hold("pi_1".into(), None, &order, order.expires_at), None);
        assert_eq!((payment.status, payment.live_order_id), (PaymentStatus::Voiding, Some(order.id)));
        assert_eq!(payment.capture(), Err(InvalidTransition(PaymentStatus::Voiding)));
        payment.void().unwrap();
        assert_eq!((payment.status, payment.live_order_id), (PaymentStatus::Voided, None));
    }

    #[test]
    fn only_legal_transitions_change_a_payment() {
        type Transition = fn(&mut Payment) -> Result<(), InvalidTransition>;
        let transitions: [(Transition, &[PaymentStatus], PaymentStatus); 3] = [
            (Payment::capture, &[PaymentStatus::Authorised], PaymentStatus::Captured),
            (Payment::void, &[PaymentStatus::Authorised, PaymentStatus::Voiding], PaymentStatus::Voided),
            (Payment::refund, &[PaymentStatus::Captured], PaymentStatus::Refunded),
        ];
        for (transition, from, to) in transitions {
            for status in STATUSES {
                let before = Payment { status, ..payment(&order()) };
                let mut payment = before.clone();
                let result = transition(&mut payment);
                if from.contains(&status) {
                    assert_eq!((result, payment.status, payment.version), (Ok(()), to, 1));
                } else {
                    let expected = if status == to { Ok(()) } else { Err(InvalidTransition(status)) };
                    assert_eq!((result, payment), (expected, before));
                }
            }
        }
    }

    #[test]
    fn an_outcome_that_is_already_known_does_not_change() {
        let order = order();
        for status in STATUSES.into_iter().filter(|status| *status != PaymentStatus::Processing) {
            let before = Payment { status, ..payment(&order) };
            let mut payment = before.clone();
            assert_eq!(payment.hold("pi_1".into(), None, &order, NOW), None);
            payment.decline(None);
            assert_eq!(payment, before);
        }
    }
}
