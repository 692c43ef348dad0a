use serde::{Deserialize, Serialize};

use super::{Event, Subject};
use crate::ids::{OrderId, TicketId, UserId};
use crate::money::Money;

/// A seller listed a ticket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketCreated {
    /// The ticket.
    pub id: TicketId,
    /// Always 0.
    pub version: u64,
    /// Its title.
    pub title: String,
    /// Its price.
    pub price: Money,
    /// The seller.
    pub user_id: UserId,
}

impl Event for TicketCreated {
    type Id = TicketId;
    const SUBJECT: Subject = Subject::TicketCreated;

    fn record_id(&self) -> TicketId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

/// A ticket was edited, reserved or released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketUpdated {
    /// The ticket.
    pub id: TicketId,
    /// The version after the change.
    pub version: u64,
    /// Its title.
    pub title: String,
    /// Its price.
    pub price: Money,
    /// The seller.
    pub user_id: UserId,
    /// The order that reserves or bought the ticket, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

impl Event for TicketUpdated {
    type Id = TicketId;
    const SUBJECT: Subject = Subject::TicketUpdated;

    fn record_id(&self) -> TicketId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}
