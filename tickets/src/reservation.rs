//! Orders as this service knows them.

use common::ids::{OrderId, TicketId};
use common::store::{Entity, Schema};
use serde::{Deserialize, Serialize};

/// An order of a ticket, in the newest state that has arrived.
///
/// `order:created` and `order:cancelled` may arrive repeatedly and in any order. Without this record, an `order:created`
/// that arrives after its `order:cancelled` would reserve the ticket forever. Deleted once the bus has no events of that
/// time any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reservation {
    /// The order.
    pub(crate) id: OrderId,
    pub(crate) version: u64,
    pub(crate) ticket_id: TicketId,
    pub(crate) status: ReservationStatus,
}

/// The newest known state of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReservationStatus {
    /// The order was created.
    Created,
    /// The order was cancelled. Final.
    Cancelled,
}

impl Entity for Reservation {
    type Id = OrderId;
    const SCHEMA: &'static Schema =
        &Schema { collection: "reservations", indexes: &[], ids: &["ticketId"], times: &[] };

    fn id(&self) -> OrderId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Reservation {
    /// The order was created.
    pub(crate) fn created(order: OrderId, ticket: TicketId) -> Self {
        Self { id: order, version: 0, ticket_id: ticket, status: ReservationStatus::Created }
    }

    /// The order was cancelled, whether or not its `order:created` has arrived.
    pub(crate) fn cancelled(order: OrderId, ticket: TicketId) -> Self {
        Self { id: order, version: 1, ticket_id: ticket, status: ReservationStatus::Cancelled }
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Timestamp;

    use super::*;

    #[test]
    fn the_schema_names_existing_fields() {
        let now = Timestamp::from_millis(0);
        let reservation = Reservation::created(OrderId::generate(now), TicketId::generate(now));
        assert_eq!(Reservation::SCHEMA.check(&reservation), Ok(()));
    }
}
