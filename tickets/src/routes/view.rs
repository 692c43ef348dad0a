//! Tickets as clients see them.

use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
use serde::Serialize;

use crate::ticket::{Ticket, Title};

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
