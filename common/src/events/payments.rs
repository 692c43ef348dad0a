use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::ids::{OrderId, PaymentId};

/// The buyer's card was authorised for the price of an order. Nothing is charged yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCreated {
    /// The payment.
    pub id: PaymentId,
    /// The order it pays for.
    pub order_id: OrderId,
    /// The PaymentIntent, `pi_…`.
    pub stripe_id: String,
}

impl Event for PaymentCreated {
    type Id = PaymentId;
    const SUBJECT: Subject = Subject::PaymentCreated;

    fn record_id(&self) -> PaymentId {
        self.id
    }

    fn version(&self) -> u64 {
        // A payment is authorised only once.
        0
    }
}

/// The buyer's bank requires a further step, such as 3-D Secure. Nothing is held yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentPending {
    /// The payment.
    pub id: PaymentId,
    /// The order it pays for.
    pub order_id: OrderId,
}

impl Event for PaymentPending {
    type Id = PaymentId;
    const SUBJECT: Subject = Subject::PaymentPending;

    fn record_id(&self) -> PaymentId {
        self.id
    }

    fn version(&self) -> u64 {
        // A payment requires a further step only once.
        0
    }
}

/// A payment that was announced by [`PaymentCreated`] does not pay for its order after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentFailed {
    /// The payment.
    pub id: PaymentId,
    /// The order it was to pay for.
    pub order_id: OrderId,
    /// Why.
    pub reason: PaymentFailure,
}

/// Why an announced payment failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentFailure {
    /// The held amount could not be captured, for good.
    CaptureFailed,
    /// The charge was refunded.
    Refunded,
}

impl Event for PaymentFailed {
    type Id = PaymentId;
    const SUBJECT: Subject = Subject::PaymentFailed;

    fn record_id(&self) -> PaymentId {
        self.id
    }

    fn version(&self) -> u64 {
        // One that was not captured may be captured by the staff later, and then refunded.
        match self.reason {
            PaymentFailure::CaptureFailed => 0,
            PaymentFailure::Refunded => 1,
        }
    }
}
