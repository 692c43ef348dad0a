//! What people do with tickets: one file an endpoint.

mod create;
mod find;
mod list;
mod update;

pub(crate) use create::create_ticket;
pub(crate) use find::find_ticket;
pub(crate) use list::list_tickets;
pub(crate) use update::update_ticket;

use common::http::{Fields, FromFields};
use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
use serde::Serialize;

use crate::ticket::{Price, Ticket, Title};

/// What a seller says of a ticket, new or edited.
pub(crate) struct TicketBody {
    title: Title,
    price: Price,
}

impl FromFields for TicketBody {
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self> {
        let title = fields.read("title", "Title is required");
        let price = fields.read("price", "Price must be greater than 0");
        Some(Self { title: title?, price: price? })
    }
}

/// A ticket as clients see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketView {
    id: TicketId,
    title: Title,
    price: Money,
    user_id: UserId,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
}

impl From<Ticket> for TicketView {
    fn from(ticket: Ticket) -> Self {
        let Ticket { id, version, title, price, user_id, order_id } = ticket;
        Self { id, title, price, user_id, version, order_id }
    }
}
