//! The HTTP routes of tickets, one file per endpoint.

mod create;
mod find;
mod list;
mod update;
mod view;

pub(crate) use create::create_ticket;
pub(crate) use find::find_ticket;
pub(crate) use list::list_tickets;
pub(crate) use update::update_ticket;

use common::http::{Fields, FromFields};

use crate::ticket::{Price, Title};

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
