//! Orders as clients see them.

use common::clock::Timestamp;
use common::events::OrderStatus;
use common::ids::{OrderId, TicketId, UserId};
use common::money::Money;
use serde::Serialize;

use crate::order::Order;

/// An order as clients see it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OrderView {
    id: OrderId,
    user_id: UserId,
    status: OrderStatus,
    expires_at: Timestamp,
    version: u64,
    ticket: OrderedTicketView,
}

/// The ticket as it was when ordered.
#[derive(Serialize)]
struct OrderedTicketView {
    id: TicketId,
    title: String,
    price: Money,
    version: u64,
}

impl From<Order> for OrderView {
    fn from(order: Order) -> Self {
        let ticket = order.ticket;
        Self {
            id: order.id,
            user_id: order.user_id,
            status: order.status,
            expires_at: order.expires_at,
            version: order.version,
            ticket: OrderedTicketView {
                id: ticket.id,
                title: ticket.title,
                price: ticket.price,
                version: ticket.version,
            },
        }
    }
}
