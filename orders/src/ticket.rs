//! This service's copies of the tickets.

use common::events::{TicketCreated, TicketUpdated};
use common::ids::TicketId;
use common::money::Money;
use common::replica::Follow;
use common::store::{Entity, Schema};
use serde::{Deserialize, Serialize};

/// A copy of a ticket. Whether it is reserved is not copied: the orders themselves know that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketCopy {
    pub(crate) id: TicketId,
    /// The ticket's own version.
    pub(crate) version: u64,
    pub(crate) title: String,
    #[serde(with = "common::money::as_cents")]
    pub(crate) price: Money,
}

impl Entity for TicketCopy {
    type Id = TicketId;
    const SCHEMA: &'static Schema = &Schema { collection: "tickets", indexes: &[], ids: &[], times: &[] };

    fn id(&self) -> TicketId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Follow<TicketCreated> for TicketCopy {
    fn follow(_before: Option<Self>, event: TicketCreated) -> Option<Self> {
        let TicketCreated { id, version, title, price, user_id: _ } = event;
        Some(Self { id, version, title, price })
    }
}

impl Follow<TicketUpdated> for TicketCopy {
    fn follow(_before: Option<Self>, event: TicketUpdated) -> Option<Self> {
        let TicketUpdated { id, version, title, price, user_id: _, order_id: _ } = event;
        Some(Self { id, version, title, price })
    }
}
