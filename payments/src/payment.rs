//! An attempt to pay for an order, and its rules.

use std::fmt;

use common::clock::Timestamp;
use common::events::PaymentCreated;
use common::ids::{OrderId, PaymentId, UserId};
use common::money::Money;
use common::store::{Entity, Index, IndexKind, Schema};
use serde::{Deserialize, Serialize};

use crate::gateway::Authorised;
use crate::order::OrderCopy;

/// An attempt to pay for an order.
///
/// ```text
/// processing ─┬─ authorised ─┬─ captured ── refunded
///             │              └─ voided
///             ├─ declined
///             └─ processing, with a stripe id: held in vain ── voided
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) version: u64,
    pub(crate) order_id: OrderId,
    /// Who pays.
    pub(crate) user_id: UserId,
    pub(crate) status: PaymentStatus,
    #[serde(with = "common::money::as_cents")]
    pub(crate) amount: Money,
    /// What is charged; kept only until the outcome of the attempt is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<CardToken>,
    /// The card, once Stripe has told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) card: Option<Card>,
    /// Stripe's name for it, `pi_…`, once the card holds the amount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stripe_id: Option<String>,
    /// The order, while the attempt is in flight or holds money. At most one attempt of an order does: a unique index
    /// says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) live_order_id: Option<OrderId>,
    pub(crate) attempted_at: Timestamp,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PaymentStatus {
    /// Stripe has been asked, or is about to be, and the outcome is not known; or, with a Stripe id, the card holds the
    /// amount in vain, and it is being let go of.
    Processing,
    /// The card holds the amount for us; nothing is charged.
    Authorised,
    /// Charged. The order is complete.
    Captured,
    /// Stripe or the bank refused; nothing is held.
    Declined,
    /// What was held was let go of.
    Voided,
    /// What was charged was given back.
    Refunded,
}

/// A card as people recognise it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// Who issued it, as Stripe writes it: `visa`.
    pub brand: String,
    /// The end of its number.
    pub last4: String,
}

/// What stands for a card at Stripe: a token (`tok_…`) or a payment method (`pm_…`). 1 to 255 characters, without
/// white space around them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct CardToken(String);

impl CardToken {
    /// As Stripe wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CardToken {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let text = text.trim();
        if (1..=255).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err("not 1 to 255 characters") }
    }
}

/// Tokens stay out of logs.
impl fmt::Debug for CardToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CardToken(…)")
    }
}

/// What an attempt has come to, when that forbids what was to be done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the payment is {0}")]
pub(crate) struct Already(pub(crate) PaymentStatus);

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
    /// A new attempt, which Stripe has not heard of.
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

    /// The card holds the amount: for the order, if that can still be paid for, else to be let go of at once.
    ///
    /// `None` when it is for nothing, or known already.
    pub(crate) fn held(&mut self, hold: &Authorised, order: &OrderCopy, now: Timestamp) -> Option<PaymentCreated> {
        if !self.is_open() {
            return None;
        }
        (self.stripe_id, self.card) = (Some(hold.stripe_id.clone()), hold.card.clone());
        if order.check_payable(now).is_err() {
            // Whoever comes across it from here on lets go; the money is no longer the order's.
            self.come_to(PaymentStatus::Processing);
            return None;
        }
        self.come_to(PaymentStatus::Authorised);
        Some(PaymentCreated { id: self.id, order_id: self.order_id, stripe_id: hold.stripe_id.clone() })
    }

    /// The card, or Stripe, refused. Nothing happens when it is known otherwise already.
    pub(crate) fn refused(&mut self, card: Option<Card>) {
        if self.is_open() {
            self.card = card;
            self.come_to(PaymentStatus::Declined);
        }
    }

    /// Whether it is not known what Stripe has done, or will do.
    fn is_open(&self) -> bool {
        self.status == PaymentStatus::Processing && self.stripe_id.is_none()
    }

    /// The amount was charged.
    pub(crate) fn captured(&mut self) -> Result<(), Already> {
        match self.status {
            PaymentStatus::Authorised => self.come_to(PaymentStatus::Captured),
            PaymentStatus::Captured => {}
            PaymentStatus::Processing | PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => {
                return Err(Already(self.status));
            }
        }
        Ok(())
    }

    /// What was held was let go of.
    pub(crate) fn voided(&mut self) -> Result<(), Already> {
        match self.status {
            PaymentStatus::Processing | PaymentStatus::Authorised => self.come_to(PaymentStatus::Voided),
            PaymentStatus::Voided => {}
            PaymentStatus::Captured | PaymentStatus::Declined | PaymentStatus::Refunded => {
                return Err(Already(self.status));
            }
        }
        Ok(())
    }

    /// What was charged was given back.
    pub(crate) fn refunded(&mut self) -> Result<(), Already> {
        match self.status {
            PaymentStatus::Captured => self.come_to(PaymentStatus::Refunded),
            PaymentStatus::Refunded => {}
            PaymentStatus::Processing | PaymentStatus::Authorised | PaymentStatus::Declined | PaymentStatus::Voided => {
                return Err(Already(self.status));
            }
        }
        Ok(())
    }

    fn come_to(&mut self, status: PaymentStatus) {
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
            Self::Authorised => "authorised",
            Self::Captured => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
            Self::Refunded => "refunded",
        })
    }
}

impl PaymentStatus {
    /// Whether money is held or taken, or may be.
    fn is_live(self) -> bool {
        match self {
            Self::Processing | Self::Authorised | Self::Captured => true,
            Self::Declined | Self::Voided | Self::Refunded => false,
        }
    }
}
