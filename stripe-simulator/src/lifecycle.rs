//! The transitions of an intent: <https://docs.stripe.com/payments/paymentintents/lifecycle>.

use std::collections::BTreeMap;

use common::clock::Timestamp;
use common::ids::IntentId;
use serde::{Deserialize, Serialize};

use crate::card::{Card, Failure, Response, TestCard};
use crate::intent::{
    Cancellation, CaptureMethod, Charge, ChargeState, Intent, IntentStatus, PaymentError, PaymentMethod, Refund, Terms,
};

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventKind {
    Created,
    RequiresAction,
    Processing,
    AmountCapturableUpdated,
    PaymentFailed,
    Canceled,
    Succeeded,
    ChargeCaptured,
    ChargeRefunded,
    DisputeCreated,
}

/// A change to an intent, or its creation.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The intent after the change.
    pub(crate) intent: Intent,
    /// What happened, in order, each with the intent as it was then.
    pub(crate) events: Vec<(EventKind, Intent)>,
}

/// How an intent is confirmed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confirmation {
    /// The card to use instead of the attached one.
    pub(crate) card: Option<Card>,
    /// Declines cards that require authentication.
    pub(crate) without_action: bool,
}

/// What a refund says besides its amount.
#[derive(Clone, Debug, Default)]
pub(crate) struct RefundTerms {
    pub(crate) reason: Option<String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Confirm,
    Capture,
    Cancel,
    Authenticate,
    FailAuthentication,
    Settle,
    Fail,
    Lapse,
    Dispute,
}

/// Why the state of an intent does not allow an action.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("status {} does not allow this action", .intent.status.name())]
    UnexpectedStatus { action: Action, intent: Box<Intent> },
    #[error("the intent has no payment method")]
    NoPaymentMethod(Box<Intent>),
    #[error("the intent has no successful charge")]
    NothingToRefund(Box<Intent>),
    #[error("charge {0} has already been refunded")]
    AlreadyRefunded(String),
    #[error("charge {0} is disputed")]
    Disputed(String),
}

impl Change {
    /// Creates an intent.
    pub(crate) fn create(id: IntentId, terms: Terms, card: Option<&Card>, now: Timestamp) -> Self {
        let intent = Intent {
            id,
            sequence: 0,
            terms,
            created: now.as_secs(),
            status: IntentStatus::RequiresPaymentMethod,
            payment_method: None,
            payment_methods: 0,
            charge: None,
            charges: 0,
            last_error: None,
            cancellation: None,
        };
        let mut change = Self { intent, events: Vec::new() };
        if let Some(card) = card {
            change.attach(card, now);
        }
        change.record(EventKind::Created);
        change
    }

    /// Starts the next change of an intent.
    pub(crate) fn to(mut intent: Intent) -> Self {
        intent.sequence += 1;
        Self { intent, events: Vec::new() }
    }

    /// Tries to authorise the amount. A decline is a change too: see the status.
    pub(crate) fn confirm(&mut self, confirmation: &Confirmation, now: Timestamp) -> Result<(), Refusal> {
        use IntentStatus::{
            Canceled, Processing, RequiresAction, RequiresCapture, RequiresConfirmation, RequiresPaymentMethod,
            Succeeded,
        };
        match self.intent.status {
            RequiresPaymentMethod | RequiresConfirmation | RequiresAction => {}
            Processing | RequiresCapture | Succeeded | Canceled => return Err(self.unexpected_status(Action::Confirm)),
        }
        if let Some(card) = &confirmation.card {
            self.attach(card, now);
        }
        let Some(method) = self.intent.payment_method.clone() else {
            return Err(Refusal::NoPaymentMethod(Box::new(self.intent.clone())));
        };
        self.intent.last_error = None;
        match method.card.response() {
            Response::Authorised => {
                self.charge(method, ChargeState::Pending, now);
                self.authorise(now);
            }
            Response::Processing => {
                self.charge(method, ChargeState::Pending, now);
                self.move_to(Processing, EventKind::Processing);
            }
            Response::AuthenticationRequired if confirmation.without_action => {
                self.fail(Failure::AuthenticationRequired, method, None);
            }
            Response::AuthenticationRequired => self.move_to(RequiresAction, EventKind::RequiresAction),
            Response::Declined(failure) => {
                let charge = self.charge(method.clone(), ChargeState::Failed(failure), now);
                self.fail(failure, method, Some(charge));
            }
        }
        Ok(())
    }

    /// Captures the authorised amount.
    pub(crate) fn capture(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.expect(Action::Capture, IntentStatus::RequiresCapture)?;
        self.take_money();
        self.record(EventKind::ChargeCaptured);
        self.record(EventKind::Succeeded);
        self.dispute_if_asked(now);
        Ok(())
    }

    /// Cancels the intent and releases the authorised amount.
    pub(crate) fn cancel(&mut self, reason: Option<String>, now: Timestamp) -> Result<(), Refusal> {
        use IntentStatus::{
            Canceled, Processing, RequiresAction, RequiresCapture, RequiresConfirmation, RequiresPaymentMethod,
            Succeeded,
        };
        match self.intent.status {
            RequiresPaymentMethod | RequiresConfirmation | RequiresAction | Processing | RequiresCapture => {
                self.release(reason, now.as_secs());
                Ok(())
            }
            Succeeded | Canceled => Err(self.unexpected_status(Action::Cancel)),
        }
    }

    /// Refunds the captured amount. `id` is that of the refund.
    pub(crate) fn refund(&mut self, id: String, terms: RefundTerms, now: Timestamp) -> Result<(), Refusal> {
        let refusal = match &mut self.intent.charge {
            Some(charge) if charge.is_refunded() => Refusal::AlreadyRefunded(charge.id.clone()),
            Some(charge) if charge.disputed.is_some() => Refusal::Disputed(charge.id.clone()),
            Some(charge) if charge.state == ChargeState::Captured => {
                let RefundTerms { reason, metadata } = terms;
                charge.refund = Some(Refund { id, created: now.as_secs(), reason, metadata });
                self.record(EventKind::ChargeRefunded);
                return Ok(());
            }
            Some(_) | None => Refusal::NothingToRefund(Box::new(self.intent.clone())),
        };
        Err(refusal)
    }

    /// The customer passes the authentication.
    pub(crate) fn authenticate(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.expect(Action::Authenticate, IntentStatus::RequiresAction)?;
        if let Some(method) = self.intent.payment_method.clone() {
            self.charge(method, ChargeState::Pending, now);
            self.authorise(now);
        }
        Ok(())
    }

    /// The customer fails the authentication.
    pub(crate) fn fail_authentication(&mut self) -> Result<(), Refusal> {
        self.expect(Action::FailAuthentication, IntentStatus::RequiresAction)?;
        if let Some(method) = self.intent.payment_method.clone() {
            self.fail(Failure::AuthenticationFailed, method, None);
        }
        Ok(())
    }

    /// A payment in process is authorised.
    pub(crate) fn settle(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.expect(Action::Settle, IntentStatus::Processing)?;
        self.authorise(now);
        Ok(())
    }

    /// A payment in process fails.
    pub(crate) fn fail_processing(&mut self) -> Result<(), Refusal> {
        const FAILURE: Failure = Failure::GenericDecline;
        self.expect(Action::Fail, IntentStatus::Processing)?;
        if let Some(charge) = &mut self.intent.charge {
            charge.state = ChargeState::Failed(FAILURE);
            let (id, method) = (charge.id.clone(), charge.payment_method.clone());
            self.fail(FAILURE, method, Some(id));
        }
        Ok(())
    }

    /// The authorisation lapses at the end of its time, or now if that is earlier.
    pub(crate) fn lapse(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.expect(Action::Lapse, IntentStatus::RequiresCapture)?;
        let at = self.intent.lapses_at().map_or(now.as_secs(), |at| at.min(now.as_secs()));
        self.release(Some("automatic".to_owned()), at);
        Ok(())
    }

    /// The customer disputes the payment.
    pub(crate) fn dispute(&mut self, now: Timestamp) -> Result<(), Refusal> {
        match &mut self.intent.charge {
            Some(charge) if charge.state == ChargeState::Captured && charge.disputed.is_none() => {
                charge.disputed = Some(now.as_secs());
                self.record(EventKind::DisputeCreated);
                Ok(())
            }
            Some(_) | None => Err(self.unexpected_status(Action::Dispute)),
        }
    }

    fn attach(&mut self, card: &Card, now: Timestamp) {
        let intent = &mut self.intent;
        intent.payment_methods += 1;
        let id = numbered("pm", intent.id, intent.payment_methods);
        let method = PaymentMethod { id, card: card.kind, fault: card.fault, created: now.as_secs() };
        intent.payment_method = Some(method);
        intent.status = IntentStatus::RequiresConfirmation;
    }

    fn charge(&mut self, payment_method: PaymentMethod, state: ChargeState, now: Timestamp) -> String {
        let intent = &mut self.intent;
        intent.charges += 1;
        let id = numbered("ch", intent.id, intent.charges);
        let created = now.as_secs();
        intent.charge = Some(Charge { id: id.clone(), created, payment_method, state, refund: None, disputed: None });
        id
    }

    fn authorise(&mut self, now: Timestamp) {
        match self.intent.terms.capture_method {
            CaptureMethod::Manual => {
                if let Some(charge) = &mut self.intent.charge {
                    charge.state = ChargeState::Authorised(now.as_secs());
                }
                self.move_to(IntentStatus::RequiresCapture, EventKind::AmountCapturableUpdated);
            }
            CaptureMethod::Automatic | CaptureMethod::AutomaticAsync => {
                self.take_money();
                self.record(EventKind::Succeeded);
                self.dispute_if_asked(now);
            }
        }
    }

    fn take_money(&mut self) {
        self.intent.status = IntentStatus::Succeeded;
        if let Some(charge) = &mut self.intent.charge {
            charge.state = ChargeState::Captured;
        }
    }

    fn dispute_if_asked(&mut self, now: Timestamp) {
        let charge = self.intent.charge.as_mut();
        if let Some(charge) = charge.filter(|charge| charge.payment_method.card == TestCard::CreateDispute) {
            charge.disputed = Some(now.as_secs());
            self.record(EventKind::DisputeCreated);
        }
    }

    fn release(&mut self, reason: Option<String>, at: i64) {
        if let Some(charge) = &mut self.intent.charge {
            match charge.state {
                ChargeState::Pending | ChargeState::Authorised(_) => charge.state = ChargeState::Voided,
                ChargeState::Failed(_) | ChargeState::Voided | ChargeState::Captured => {}
            }
        }
        self.intent.cancellation = Some(Cancellation { at, reason });
        self.move_to(IntentStatus::Canceled, EventKind::Canceled);
    }

    /// Stripe detaches a payment method that failed.
    fn fail(&mut self, failure: Failure, payment_method: PaymentMethod, charge: Option<String>) {
        self.intent.payment_method = None;
        self.intent.last_error = Some(PaymentError { failure, charge, payment_method });
        self.move_to(IntentStatus::RequiresPaymentMethod, EventKind::PaymentFailed);
    }

    fn move_to(&mut self, status: IntentStatus, event: EventKind) {
        self.intent.status = status;
        self.record(event);
    }

    fn record(&mut self, event: EventKind) {
        self.events.push((event, self.intent.clone()));
    }

    fn expect(&self, action: Action, status: IntentStatus) -> Result<(), Refusal> {
        if self.intent.status == status { Ok(()) } else { Err(self.unexpected_status(action)) }
    }

    fn unexpected_status(&self, action: Action) -> Refusal {
        Refusal::UnexpectedStatus { action, intent: Box::new(self.intent.clone()) }
    }
}

/// The id of the `count`th object of a kind that belongs to an intent.
fn numbered(prefix: &str, intent: IntentId, count: u32) -> String {
    if count == 1 { format!("{prefix}_{intent}") } else { format!("{prefix}_{intent}{count}") }
}
