use serde_json::{Value, json};

use super::{API_VERSION, Expand, charge, dispute, intent};
use crate::intent::Intent;
use crate::lifecycle::EventKind;
use crate::revision::{Revision, StoredEvent};

impl EventKind {
    /// The type of the event in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Created => "payment_intent.created",
            Self::RequiresAction => "payment_intent.requires_action",
            Self::Processing => "payment_intent.processing",
            Self::AmountCapturableUpdated => "payment_intent.amount_capturable_updated",
            Self::PaymentFailed => "payment_intent.payment_failed",
            Self::Canceled => "payment_intent.canceled",
            Self::Succeeded => "payment_intent.succeeded",
            Self::ChargeCaptured => "charge.captured",
            Self::ChargeRefunded => "charge.refunded",
            Self::DisputeCreated => "charge.dispute.created",
        }
    }
}

/// The object that an event is about.
pub(crate) fn object(kind: EventKind, subject: &Intent) -> Value {
    match kind {
        EventKind::Created
        | EventKind::RequiresAction
        | EventKind::Processing
        | EventKind::AmountCapturableUpdated
        | EventKind::PaymentFailed
        | EventKind::Canceled
        | EventKind::Succeeded => intent(subject, Expand::Nothing),
        EventKind::ChargeCaptured | EventKind::ChargeRefunded => charge(subject),
        EventKind::DisputeCreated => dispute(subject),
    }
}

/// The event at this index of a revision.
pub(crate) fn event(revision: &Revision, index: usize, event: &StoredEvent) -> Value {
    let request = revision.request.as_ref();
    let is_pending = revision.undelivered.is_some() && !event.is_delivered;
    json!({
        "id": format!("evt_{}{index:02}", revision.id),
        "object": "event",
        "api_version": API_VERSION,
        "created": revision.at.as_secs(),
        "data": {"object": event.object},
        "livemode": false,
        "pending_webhooks": u8::from(is_pending),
        "request": {
            "id": request.map(|request| &request.id),
            "idempotency_key": request.and_then(|request| request.idempotency_key.as_ref()),
        },
        "type": event.kind,
    })
}
