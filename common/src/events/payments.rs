use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::ids::{OrderId, PaymentId};

/// The buyer's card is authorised for the price of an order; nothing is charged yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentCreated {
    /// The payment.
    pub id: PaymentId,
    /// The order it pays for.
    pub order_id: OrderId,
    /// Stripe's name for it, `pi_…`.
    pub stripe_id: String,
}

impl Event for PaymentCreated {
    const SUBJECT: Subject = Subject::PaymentCreated;

    fn key(&self) -> String {
        // A payment is authorised once, so there is but one version of this.
        format!("{}/0", self.id)
    }
}
