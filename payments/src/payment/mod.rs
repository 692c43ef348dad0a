//! Payments: the attempts to pay for orders, as a state machine.

mod observation;
mod schedule;
mod status;

use common::clock::Timestamp;
use common::events::{
    Announcement, Message, OrderStatus, PaymentCreated, PaymentFailed, PaymentFailure, PaymentPending, Subject,
};
use common::ids::{OrderId, PaymentId, UserId};
use common::money::Money;
use common::records::Announced;
use common::store::{Entity, Index, IndexKind, Schema, StoreError};
use serde::{Deserialize, Serialize};

use crate::card::Card;
use crate::order::OrderCopy;

pub(crate) use status::InvalidTransition;
pub use status::PaymentStatus;

/// How many attempts an order allows. More would let someone test stolen cards.
pub(crate) const MAX_ATTEMPTS: u32 = 10;

/// One attempt to pay for an order.
///
/// ```text
/// recorded ─┬─ confirming ─┬─ (requires_action) ── authorised ── capturing ── captured ── refunding ── refunded
///           │              └─ voiding ─┬─ voided
///           ├─ declined                └─ declined
///           └─ voided
/// ```
///
/// Before it is captured, each state may turn to `voiding`. A step that Stripe rejects for good leads to `stuck`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Payment {
    pub(crate) id: PaymentId,
    pub(crate) version: u64,
    pub(crate) order_id: OrderId,
    /// The buyer.
    pub(crate) user_id: UserId,
    /// The order and the number of the attempt, from 1: `65c0ffee65c0ffee65000003/1`. A unique index over this field
    /// limits an order to [`MAX_ATTEMPTS`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempt: Option<String>,
    pub(crate) status: PaymentStatus,
    #[serde(with = "common::money::as_cents")]
    pub(crate) amount: Money,
    /// The card, once Stripe returns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) card: Option<Card>,
    /// The PaymentIntent, `pi_…`, once it exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stripe_id: Option<String>,
    /// The order, while the payment is in flight or holds money. A unique index over this field limits an order to one
    /// such payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    live_order_id: Option<OrderId>,
    /// Why the bank declined the card, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) decline_code: Option<String>,
    /// Set while something remains to be done. An index over this field finds the payment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unsettled: Option<Unsettled>,
    /// When to take the next step. While a task works on the payment, when its lease ends.
    #[serde(default = "schedule::at_once")]
    next_attempt_at: Timestamp,
    /// Whether a task works on the payment.
    #[serde(default)]
    claimed: bool,
    /// How often a task has begun the current step.
    #[serde(default)]
    tries: u32,
    /// Whether the staff has asked for a refund, which Stripe may refuse.
    #[serde(default)]
    pub(super) refund_requested: bool,
    /// How often Stripe has rejected the current step.
    #[serde(default)]
    rejections: u32,
    pub(crate) attempted_at: Timestamp,
}

/// Marks a payment for which something remains to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Unsettled {
    Yes,
}

/// The event that announces a change of a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PaymentEvent {
    None,
    Created(PaymentCreated),
    Pending(PaymentPending),
    Failed(PaymentFailed),
}

impl Announcement for PaymentEvent {
    fn into_message(self) -> Result<Option<Message>, serde_json::Error> {
        match self {
            Self::None => Ok(None),
            Self::Created(event) => event.into_message(),
            Self::Pending(event) => event.into_message(),
            Self::Failed(event) => event.into_message(),
        }
    }
}

impl Entity for Payment {
    type Id = PaymentId;
    const SCHEMA: &'static Schema = &Schema {
        collection: "payments",
        indexes: &[
            Index { name: "payments_by_order", fields: &[Payment::ORDER], kind: IndexKind::Plain },
            Index { name: "payments_by_status", fields: &[Payment::STATUS], kind: IndexKind::Plain },
            Index { name: "payments_by_intent", fields: &[Payment::INTENT], kind: IndexKind::Plain },
            Index { name: "payments_unsettled", fields: &[Payment::UNSETTLED], kind: IndexKind::Plain },
            Index { name: "payments_by_live_order", fields: &[Payment::LIVE_ORDER], kind: IndexKind::Unique },
            Index { name: "payments_by_attempt", fields: &["attempt"], kind: IndexKind::Unique },
        ],
        ids: &[Payment::ORDER, "userId", Payment::LIVE_ORDER],
        times: &["attemptedAt", "nextAttemptAt"],
    };

    fn id(&self) -> PaymentId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Announced for Payment {
    const SUBJECTS: &'static [Subject] = &[Subject::PaymentCreated, Subject::PaymentPending, Subject::PaymentFailed];

    fn announce(&self) -> Result<Vec<Message>, StoreError> {
        use PaymentStatus as S;
        let created = || self.stripe_id.clone().map_or(PaymentEvent::None, |intent| self.created(intent));
        let event = match self.status {
            S::RequiresAction => self.pending(),
            S::Authorised | S::Capturing | S::Captured => created(),
            // It pays for its order until it is refunded.
            S::Refunding | S::Stuck if self.refund_requested => created(),
            // Its order is cancelled already, or must be.
            S::Stuck if self.decline_code.is_none() => self.failed(PaymentFailure::CaptureFailed),
            S::Refunded => self.failed(PaymentFailure::Refunded),
            S::Recorded | S::Confirming | S::Voiding | S::Voided | S::Declined | S::Refunding | S::Stuck => {
                PaymentEvent::None
            }
        };
        Ok(event.into_message()?.into_iter().collect())
    }

    /// The events do not carry the state. What Stripe holds for an unknown payment is found by the audit.
    fn restore(_event: &Message, _stored: Option<Self>) -> Result<Option<Self>, StoreError> {
        Ok(None)
    }
}

impl Payment {
    pub(crate) const ORDER: &'static str = "orderId";
    const LIVE_ORDER: &'static str = "liveOrderId";
    pub(crate) const STATUS: &'static str = "status";
    pub(crate) const INTENT: &'static str = "stripeId";
    pub(crate) const UNSETTLED: &'static str = "unsettled";
    /// The value of [`UNSETTLED`](Self::UNSETTLED).
    pub(crate) const YES: &'static str = "yes";

    /// Records an attempt before Stripe learns of it. The caller works on it.
    pub(crate) fn record(order: &OrderCopy, attempt: u32, now: Timestamp) -> Self {
        Self {
            id: PaymentId::generate(now),
            version: 0,
            order_id: order.id,
            user_id: order.user_id,
            attempt: Some(format!("{}/{attempt}", order.id)),
            status: PaymentStatus::Recorded,
            amount: order.price,
            card: None,
            stripe_id: None,
            live_order_id: Some(order.id),
            decline_code: None,
            unsettled: Some(Unsettled::Yes),
            next_attempt_at: now.plus(schedule::LEASE),
            claimed: true,
            tries: 1,
            refund_requested: false,
            rejections: 0,
            attempted_at: now,
        }
    }

    /// Records the intent that is about to be confirmed.
    pub(crate) fn confirm(&mut self, intent: String, now: Timestamp) -> Result<(), InvalidTransition> {
        self.require(PaymentStatus::Recorded)?;
        self.stripe_id = Some(intent);
        self.proceed(PaymentStatus::Confirming, now);
        Ok(())
    }

    /// Ends a payment whose intent Stripe refused to create.
    pub(crate) fn reject(&mut self, now: Timestamp) -> Result<(), InvalidTransition> {
        self.require(PaymentStatus::Recorded)?;
        self.proceed(PaymentStatus::Declined, now);
        Ok(())
    }

    /// Ends a payment that was interrupted before its intent was recorded. Only a confirmed intent holds money, and only
    /// a recorded one is confirmed.
    pub(crate) fn abandon(&mut self, now: Timestamp) -> Result<(), InvalidTransition> {
        self.require(PaymentStatus::Recorded)?;
        self.proceed(PaymentStatus::Voided, now);
        Ok(())
    }

    /// Takes over an intent that was created for this payment and not recorded, in order to end it.
    pub(crate) fn adopt(&mut self, intent: String, now: Timestamp) {
        if self.stripe_id.is_none() && self.status.is_ended() {
            self.stripe_id = Some(intent);
            self.hand_over(PaymentStatus::Voiding, now);
        }
    }

    /// Follows the order's end: captures, or releases what is held.
    pub(crate) fn follow(&mut self, order: OrderStatus, now: Timestamp) -> Result<(), InvalidTransition> {
        use PaymentStatus as S;
        match (order, self.status) {
            (OrderStatus::Complete, S::Authorised) => self.hand_over(S::Capturing, now),
            (OrderStatus::Complete, S::Recorded | S::Confirming | S::RequiresAction | S::Voiding) => {
                return Err(InvalidTransition(self.status));
            }
            (OrderStatus::Cancelled, S::Recorded) => self.hand_over(S::Voided, now),
            (OrderStatus::Cancelled, S::Captured) => self.hand_over(S::Refunding, now),
            (OrderStatus::Cancelled, S::Confirming | S::RequiresAction | S::Authorised | S::Capturing | S::Stuck) => {
                self.hand_over(S::Voiding, now)
            }
            (OrderStatus::Cancelled, S::Voiding | S::Refunding | S::Voided | S::Declined | S::Refunded)
            | (
                OrderStatus::Complete,
                S::Capturing | S::Captured | S::Refunding | S::Refunded | S::Stuck | S::Voided | S::Declined,
            )
            | (OrderStatus::Created | OrderStatus::AwaitingPayment, _) => {}
        }
        Ok(())
    }

    /// Refunds a captured payment on behalf of the staff, or tries again if Stripe refused. Does nothing if it is being
    /// refunded or was.
    pub(crate) fn refund(&mut self, now: Timestamp) -> Result<(), InvalidTransition> {
        match self.status {
            PaymentStatus::Captured => {
                self.refund_requested = true;
                self.hand_over(PaymentStatus::Refunding, now);
            }
            PaymentStatus::Stuck if self.refund_requested => self.hand_over(PaymentStatus::Refunding, now),
            PaymentStatus::Refunding | PaymentStatus::Refunded => {}
            PaymentStatus::Recorded
            | PaymentStatus::Confirming
            | PaymentStatus::RequiresAction
            | PaymentStatus::Authorised
            | PaymentStatus::Capturing
            | PaymentStatus::Voiding
            | PaymentStatus::Voided
            | PaymentStatus::Declined
            | PaymentStatus::Stuck => return Err(InvalidTransition(self.status)),
        }
        Ok(())
    }

    /// The idempotency key of an operation. It differs after each claim, because a task that begins a step again reads
    /// Stripe's state first.
    pub(crate) fn key(&self, operation: &str) -> String {
        format!("{}-{operation}-{}", self.id, self.version)
    }

    /// The PaymentIntent of a payment that has one.
    pub(crate) fn intent(&self) -> Result<&str, InvalidTransition> {
        self.stripe_id.as_deref().ok_or(InvalidTransition(self.status))
    }

    fn require(&self, status: PaymentStatus) -> Result<(), InvalidTransition> {
        if self.status == status { Ok(()) } else { Err(InvalidTransition(self.status)) }
    }

    /// Enters a state and keeps the claim.
    fn proceed(&mut self, status: PaymentStatus, now: Timestamp) {
        self.enter(status);
        (self.claimed, self.tries, self.next_attempt_at) = (self.is_unsettled(), 1, now.plus(schedule::LEASE));
    }

    /// Enters a state that another task continues from, at once.
    fn hand_over(&mut self, status: PaymentStatus, now: Timestamp) {
        self.enter(status);
        (self.claimed, self.tries, self.next_attempt_at) = (false, 0, now);
    }

    fn enter(&mut self, status: PaymentStatus) {
        self.version += 1;
        self.status = status;
        self.rejections = 0;
        self.unsettled = status.is_unsettled().then_some(Unsettled::Yes);
        if status.is_ended() {
            self.live_order_id = None;
        }
    }

    /// Ends a payment whose intent is canceled.
    fn end_released(&mut self, now: Timestamp) {
        let ended = if self.decline_code.is_some() { PaymentStatus::Declined } else { PaymentStatus::Voided };
        self.proceed(ended, now);
    }

    fn created(&self, stripe_id: String) -> PaymentEvent {
        PaymentEvent::Created(PaymentCreated { id: self.id, order_id: self.order_id, stripe_id })
    }

    fn pending(&self) -> PaymentEvent {
        PaymentEvent::Pending(PaymentPending { id: self.id, order_id: self.order_id })
    }

    fn failed(&self, reason: PaymentFailure) -> PaymentEvent {
        PaymentEvent::Failed(PaymentFailed { id: self.id, order_id: self.order_id, reason })
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(0);

    pub(super) const STATUSES: [PaymentStatus; 12] = [
        PaymentStatus::Recorded,
        PaymentStatus::Confirming,
        PaymentStatus::RequiresAction,
        PaymentStatus::Authorised,
        PaymentStatus::Capturing,
        PaymentStatus::Captured,
        PaymentStatus::Voiding,
        PaymentStatus::Voided,
        PaymentStatus::Declined,
        PaymentStatus::Refunding,
        PaymentStatus::Refunded,
        PaymentStatus::Stuck,
    ];

    fn payment(status: PaymentStatus) -> Payment {
        let order = OrderCopy {
            id: OrderId::generate(NOW),
            version: 0,
            status: OrderStatus::Created,
            user_id: UserId::generate(NOW),
            expires_at: Timestamp::from_millis(1),
            price: Money::from_cents(1999),
            ticket_id: None,
        };
        Payment { status, ..Payment::record(&order, 1, NOW) }
    }

    #[test]
    fn the_schema_names_existing_fields() {
        let complete = Payment { stripe_id: Some("pi_1".into()), ..payment(PaymentStatus::Recorded) };
        assert_eq!(Payment::SCHEMA.check(&complete), Ok(()));
        assert_eq!(serde_json::to_value(&complete).unwrap()[Payment::UNSETTLED], Payment::YES);
    }

    #[test]
    fn only_a_recorded_payment_is_confirmed_rejected_or_abandoned() {
        type Transition = fn(&mut Payment) -> Result<(), InvalidTransition>;
        let transitions: [Transition; 3] = [
            |payment| payment.confirm("pi_1".into(), NOW),
            |payment| payment.reject(NOW),
            |payment| payment.abandon(NOW),
        ];
        for transition in transitions {
            for status in STATUSES {
                let mut payment = payment(status);
                let is_legal = status == PaymentStatus::Recorded;
                assert_eq!(transition(&mut payment).is_ok(), is_legal, "{status}");
                assert_eq!(payment.version, u64::from(is_legal));
            }
        }
    }

    #[test]
    fn a_cancelled_order_releases_whatever_its_payment_holds() {
        for status in STATUSES {
            let mut payment = payment(status);
            payment.follow(OrderStatus::Cancelled, NOW).unwrap();
            let expected = match status {
                PaymentStatus::Recorded | PaymentStatus::Voided => PaymentStatus::Voided,
                PaymentStatus::Captured | PaymentStatus::Refunding => PaymentStatus::Refunding,
                PaymentStatus::Declined | PaymentStatus::Refunded => status,
                _ => PaymentStatus::Voiding,
            };
            assert_eq!(payment.status, expected, "{status}");
        }
    }

    #[test]
    fn a_complete_order_captures_only_an_authorised_payment() {
        for status in STATUSES {
            let mut payment = payment(status);
            let followed = payment.follow(OrderStatus::Complete, NOW);
            match status {
                PaymentStatus::Authorised => assert_eq!(payment.status, PaymentStatus::Capturing),
                PaymentStatus::Recorded
                | PaymentStatus::Confirming
                | PaymentStatus::RequiresAction
                | PaymentStatus::Voiding => assert_eq!(followed, Err(InvalidTransition(status))),
                _ => assert_eq!((followed, payment.status), (Ok(()), status)),
            }
        }
    }
}
