use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::ids::{OrderId, TicketId, UserId};
use crate::money::Money;

/// Somebody listed a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketCreated {
    /// The ticket.
    pub id: TicketId,
    /// Always 0.
    pub version: u64,
    /// What it is for.
    pub title: String,
    /// What it costs, in dollars on the wire.
    pub price: Money,
    /// Who sells it.
    pub user_id: UserId,
}

impl Event for TicketCreated {
    const SUBJECT: Subject = Subject::TicketCreated;

    fn key(&self) -> String {
        format!("{}/{}", self.id, self.version)
    }
}

/// A ticket was edited, reserved or released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketUpdated {
    /// The ticket.
    pub id: TicketId,
    /// One more than before.
    pub version: u64,
    /// What it is for.
    pub title: String,
    /// What it costs, in dollars on the wire.
    pub price: Money,
    /// Who sells it.
    pub user_id: UserId,
    /// The order it is reserved for or sold to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

impl Event for TicketUpdated {
    const SUBJECT: Subject = Subject::TicketUpdated;

    fn key(&self) -> String {
        format!("{}/{}", self.id, self.version)
    }
}
