use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::ids::OrderId;

/// An order's time is up. The orders service decides whether that cancels the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExpirationComplete {
    /// The order.
    pub order_id: OrderId,
}

impl Event for ExpirationComplete {
    type Id = OrderId;
    const SUBJECT: Subject = Subject::ExpirationComplete;

    fn record_id(&self) -> OrderId {
        self.order_id
    }

    fn version(&self) -> u64 {
        // An order expires only once.
        0
    }
}
