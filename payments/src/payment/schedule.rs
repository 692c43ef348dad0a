//! Who works on a payment, and when.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use common::clock::Timestamp;
use common::events::PaymentFailure;

use super::{InvalidTransition, Payment, PaymentEvent, PaymentStatus, Unsettled};
use crate::stripe::TIMEOUT;

/// How long a task may work on a payment between two writes, a call of Stripe included. After that the task has crashed,
/// and another one may continue.
pub(super) const LEASE: Duration = TIMEOUT.saturating_add(Duration::from_secs(4));

/// The delay before the second try of a step. It doubles with each try, up to [`MAX_DELAY`].
const MIN_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(300);

/// When to ask Stripe first, and how often at least, about a payment that waits for its buyer. Webhooks are faster.
const MIN_POLL_DELAY: Duration = Duration::from_secs(2);
const MAX_POLL_DELAY: Duration = Duration::from_secs(30);

/// How often to look at a payment that is stuck.
const STUCK_DELAY: Duration = Duration::from_secs(3600);

/// How often Stripe may reject a step before the payment is stuck.
const MAX_REJECTIONS: u32 = 3;

/// The schedule of payments stored before there was one.
pub(super) fn at_once() -> Timestamp {
    Timestamp::from_millis(0)
}

impl Payment {
    /// Whether a task works on the payment.
    pub(crate) fn is_claimed(&self, now: Timestamp) -> bool {
        self.claimed && now < self.next_attempt_at
    }

    /// Whether a task has claimed the payment and not given it up, even if its lease has ended.
    pub(crate) fn is_held(&self) -> bool {
        self.claimed
    }

    /// Whether the task that holds `before` has brought it into this state. If another task claims the payment, the state
    /// stays the same, and whatever follows is a later version.
    pub(crate) fn is_next_state_of(&self, before: &Self) -> bool {
        self.status != before.status && self.version == before.version + 1
    }

    /// Whether something remains to be done.
    pub(crate) fn is_unsettled(&self) -> bool {
        self.unsettled.is_some()
    }

    /// When to take the next step, if something remains to be done.
    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        self.is_unsettled().then_some(self.next_attempt_at)
    }

    /// Whether the next step should be taken by now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due_at().is_some_and(|due_at| now >= due_at)
    }

    /// Whether a task has begun the current step before, so that Stripe may have executed it.
    pub(crate) fn may_have_been_tried(&self) -> bool {
        self.tries > 1
    }

    /// Lets the caller work on the payment, unless another task does or nothing remains to be done. Returns whether it
    /// may.
    pub(crate) fn claim(&mut self, now: Timestamp) -> bool {
        if self.is_claimed(now) || !self.is_unsettled() {
            return false;
        }
        self.version += 1;
        self.tries += 1;
        (self.claimed, self.next_attempt_at) = (true, now.plus(LEASE));
        true
    }

    /// Confirms the intent again, with another idempotency key. The caller has seen at Stripe that it is not confirmed.
    pub(crate) fn confirm_again(&mut self, now: Timestamp) -> Result<(), InvalidTransition> {
        self.require(PaymentStatus::Confirming)?;
        self.version += 1;
        self.tries += 1;
        (self.claimed, self.next_attempt_at) = (true, now.plus(LEASE));
        Ok(())
    }

    /// Gives up the claim until a later try.
    pub(crate) fn postpone(&mut self, now: Timestamp) {
        let delay = match self.status {
            PaymentStatus::RequiresAction => self.backoff(MAX_POLL_DELAY),
            PaymentStatus::Stuck => STUCK_DELAY,
            _ => self.backoff(MAX_DELAY),
        };
        self.version += 1;
        (self.claimed, self.next_attempt_at) = (false, now.plus(delay));
    }

    /// Gives up the claim of a payment that was only compared with Stripe.
    pub(crate) fn rest(&mut self) {
        self.version += 1;
        (self.claimed, self.tries, self.unsettled) = (false, 0, None);
    }

    /// Leaves the payment to its buyer, and to a poll later.
    pub(super) fn await_buyer(&mut self, now: Timestamp) {
        self.hand_over(PaymentStatus::RequiresAction, now.plus(MIN_POLL_DELAY));
    }

    /// Schedules a comparison with Stripe's state. Returns `false` while a task works on the payment, which may have read
    /// an older state.
    pub(crate) fn check(&mut self, now: Timestamp) -> bool {
        if self.is_claimed(now) {
            return false;
        }
        if self.stripe_id.is_none() || self.is_due(now) {
            return true;
        }
        self.version += 1;
        self.unsettled = Some(Unsettled::Yes);
        self.next_attempt_at = now;
        // What the check finds may be the result of an earlier try.
        self.tries = self.tries.max(1);
        true
    }

    /// Counts that Stripe rejected the current step although its state allows it. Too often, and the payment is stuck.
    pub(crate) fn count_rejection(&mut self, now: Timestamp) -> PaymentEvent {
        self.rejections += 1;
        if self.rejections < MAX_REJECTIONS {
            self.postpone(now);
            return PaymentEvent::None;
        }
        self.become_stuck(now)
    }

    /// Leaves the payment to the staff. A payment that cannot be captured has failed.
    pub(super) fn become_stuck(&mut self, now: Timestamp) -> PaymentEvent {
        let announced = match self.status {
            PaymentStatus::Authorised | PaymentStatus::Capturing => self.failed(PaymentFailure::CaptureFailed),
            _ => PaymentEvent::None,
        };
        self.hand_over(PaymentStatus::Stuck, now.plus(STUCK_DELAY));
        announced
    }

    /// 1 s, 2 s, 4 s and so on up to `max`, each shortened by up to a half: payments that failed together are not retried
    /// together.
    fn backoff(&self, max: Duration) -> Duration {
        let doubled = MIN_DELAY.saturating_mul(2_u32.saturating_pow(self.tries.saturating_sub(1))).min(max);
        let mut hasher = DefaultHasher::new();
        (self.attempted_at, self.version).hash(&mut hasher);
        let half = u32::try_from(hasher.finish() % 1000).unwrap_or(0);
        doubled - doubled / 2 * half / 1000
    }
}
