//! What follows for a payment from the state of its intent at Stripe.

use common::clock::Timestamp;
use common::events::{OrderStatus, PaymentFailure};

use super::{Payment, PaymentEvent, PaymentStatus};
use crate::order::OrderCopy;
use crate::stripe::{Intent, IntentStatus};

impl Payment {
    /// Enters the state that follows from the intent's, and returns the event that announces the change. Stays in its
    /// state, with the same version, if nothing follows.
    ///
    /// The caller has claimed the payment.
    pub(crate) fn observe(&mut self, intent: &Intent, order: &OrderCopy, now: Timestamp) -> PaymentEvent {
        if let Some(card) = intent.card() {
            self.card = Some(card);
        }
        let before = self.version;
        let event = self.observe_in_state(intent, order, now);
        // What Stripe shows may take two steps at once, for example a capture and a refund.
        self.version = self.version.min(before + 1);
        event
    }

    fn observe_in_state(&mut self, intent: &Intent, order: &OrderCopy, now: Timestamp) -> PaymentEvent {
        match self.status {
            PaymentStatus::Confirming | PaymentStatus::RequiresAction => self.observe_confirmation(intent, order, now),
            PaymentStatus::Authorised | PaymentStatus::Capturing => self.observe_hold(intent, now),
            PaymentStatus::Captured | PaymentStatus::Refunding => self.observe_charge(intent, now),
            PaymentStatus::Voiding => self.observe_release(intent, now),
            PaymentStatus::Voided | PaymentStatus::Declined | PaymentStatus::Refunded => self.observe_end(intent, now),
            PaymentStatus::Stuck => self.observe_stuck(intent, order, now),
            // It has no intent yet.
            PaymentStatus::Recorded => PaymentEvent::None,
        }
    }

    fn observe_confirmation(&mut self, intent: &Intent, order: &OrderCopy, now: Timestamp) -> PaymentEvent {
        if let (Some(code), IntentStatus::RequiresPaymentMethod) = (intent.decline_code(), intent.status) {
            self.decline_code = Some(code.to_owned());
        }
        let payable = order.check_payable(now).is_ok();
        match intent.status {
            IntentStatus::Canceled => self.end_released(now),
            // Not confirmed, or declined.
            IntentStatus::RequiresPaymentMethod | IntentStatus::RequiresConfirmation => {
                self.proceed(PaymentStatus::Voiding, now);
            }
            _ if !payable => self.proceed(PaymentStatus::Voiding, now),
            IntentStatus::RequiresCapture | IntentStatus::Succeeded => {
                self.proceed(PaymentStatus::Authorised, now);
                return self.created(intent.id.clone());
            }
            IntentStatus::RequiresAction if self.status == PaymentStatus::Confirming => {
                self.await_buyer(now);
                return self.pending();
            }
            IntentStatus::RequiresAction | IntentStatus::Processing | IntentStatus::Unknown => {}
        }
        PaymentEvent::None
    }

    fn observe_hold(&mut self, intent: &Intent, now: Timestamp) -> PaymentEvent {
        match intent.status {
            IntentStatus::Succeeded if self.status == PaymentStatus::Capturing => {
                self.proceed(PaymentStatus::Captured, now);
                self.observe_charge(intent, now)
            }
            IntentStatus::RequiresCapture
            | IntentStatus::Succeeded
            | IntentStatus::Processing
            | IntentStatus::Unknown => PaymentEvent::None,
            // The hold has lapsed or was released by someone else.
            IntentStatus::Canceled
            | IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresAction => self.become_stuck(now),
        }
    }

    fn observe_charge(&mut self, intent: &Intent, now: Timestamp) -> PaymentEvent {
        if !intent.is_refunded() {
            return PaymentEvent::None;
        }
        self.proceed(PaymentStatus::Refunded, now);
        self.failed(PaymentFailure::Refunded)
    }

    fn observe_release(&mut self, intent: &Intent, now: Timestamp) -> PaymentEvent {
        match intent.status {
            IntentStatus::Canceled => self.end_released(now),
            IntentStatus::Succeeded if intent.is_refunded() => self.proceed(PaymentStatus::Refunded, now),
            IntentStatus::Succeeded => self.proceed(PaymentStatus::Refunding, now),
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresAction
            | IntentStatus::Processing
            | IntentStatus::RequiresCapture
            | IntentStatus::Unknown => {}
        }
        PaymentEvent::None
    }

    /// An ended payment must hold nothing.
    fn observe_end(&mut self, intent: &Intent, now: Timestamp) -> PaymentEvent {
        match intent.status {
            IntentStatus::Canceled | IntentStatus::Unknown => {}
            IntentStatus::Succeeded if intent.is_refunded() => {}
            IntentStatus::Succeeded => self.proceed(PaymentStatus::Refunding, now),
            IntentStatus::RequiresPaymentMethod
            | IntentStatus::RequiresConfirmation
            | IntentStatus::RequiresAction
            | IntentStatus::Processing
            | IntentStatus::RequiresCapture => self.proceed(PaymentStatus::Voiding, now),
        }
        PaymentEvent::None
    }

    /// The staff may have resolved it in Stripe's dashboard.
    fn observe_stuck(&mut self, intent: &Intent, order: &OrderCopy, now: Timestamp) -> PaymentEvent {
        match (order.status, intent.status) {
            (OrderStatus::Cancelled, _) => {
                self.proceed(PaymentStatus::Voiding, now);
                self.observe_release(intent, now)
            }
            (OrderStatus::Complete, IntentStatus::Succeeded) if !self.refund_requested || intent.is_refunded() => {
                self.proceed(PaymentStatus::Captured, now);
                self.observe_charge(intent, now)
            }
            _ => PaymentEvent::None,
        }
    }
}
