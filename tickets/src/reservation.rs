//! Which orders this service has heard of.

use common::ids::{OrderId, TicketId};
use common::store::{Entity, Schema};
use serde::{Deserialize, Serialize};

/// What this service has heard of an order.
///
/// `order:created` and `order:cancelled` arrive by themselves, repeated and in any order. Without a memory of them, an
/// `order:created` that arrives after its `order:cancelled` would reserve the ticket for ever.
///
/// Its version follows the order's: 0 when created, 1 once cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Reservation {
    /// The order.
    pub(crate) id: OrderId,
    pub(crate) version: u64,
    pub(crate) ticket_id: TicketId,
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
        Self { id: order, version: 0, ticket_id: ticket }
    }

    /// The order was cancelled, whether or not we have heard of its creation.
    pub(crate) fn cancelled(order: OrderId, ticket: TicketId) -> Self {
        Self { id: order, version: 1, ticket_id: ticket }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.version > 0
    }
}
