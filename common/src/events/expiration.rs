use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::ids::OrderId;

/// The time of an order is up. Whether that cancels it is for the orders service to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpirationComplete {
    /// The order.
    pub order_id: OrderId,
}

impl Event for ExpirationComplete {
    const SUBJECT: Subject = Subject::ExpirationComplete;

    fn key(&self) -> String {
        // An order's time is up once, so there is but one version of this.
        format!("{}/0", self.order_id)
    }
}
