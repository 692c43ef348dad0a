//! The HTTP routes of tickets, one file per endpoint.

mod create;
mod find;
mod list;
mod update;

pub(crate) use create::create_ticket;
pub(crate) use find::find_ticket;
pub(crate) use list::list_tickets;
pub(crate) use update::update_ticket;

use common::http::Required;
use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
use serde::{Deserialize, Serialize};
use validator::Validate;

use crate::ticket::{Price, Ticket, Title};

/// A new or edited ticket.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TicketBody {
    #[validate(required(message = "Title is required"))]
    title: Required<Title>,
    #[validate(required(message = "Price must be greater than 0"))]
    price: Required<Price>,
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
