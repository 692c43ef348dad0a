//! Copies of tickets, which the tickets service owns.

use common::events::{TicketCreated, TicketUpdated};
use common::ids::TicketId;
use common::money::Money;
use common::store::{Entity, Schema};
use serde::{Deserialize, Serialize};

/// A copy of a ticket, without its reservation: a ticket is reserved here while it has a live order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketCopy {
    pub(crate) id: TicketId,
    /// The version of the ticket.
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

impl From<TicketCreated> for TicketCopy {
    fn from(event: TicketCreated) -> Self {
        let TicketCreated { id, version, title, price, user_id: _ } = event;
        Self { id, version, title, price }
    }
}

impl From<TicketUpdated> for TicketCopy {
    fn from(event: TicketUpdated) -> Self {
        let TicketUpdated { id, version, title, price, user_id: _, order_id: _ } = event;
        Self { id, version, title, price }
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;

    use super::*;

    #[test]
    fn the_schema_names_existing_fields() {
        let id = TicketId::generate(Timestamp::from_millis(0));
        let copy = TicketCopy { id, version: 0, title: "Concert".into(), price: Money::from_cents(1) };
        assert_eq!(TicketCopy::SCHEMA.check(&copy), Ok(()));
    }
}
