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
