//! What orders do to tickets: one file an event.

mod order_cancelled;
mod order_created;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_created::OrderCreatedListener;

use common::bus::Message;
use common::ids::{OrderId, TicketId};
use common::store::StoreError;

use crate::AppState;

/// Releases a ticket from an order that was cancelled; another order's reservation stands.
async fn release(app: &AppState, ticket: TicketId, order: OrderId) -> Result<(), StoreError> {
    let release =
        app.tickets.update(ticket, |ticket| Ok::<_, StoreError>(ticket.release(order).as_ref().map(Message::of)));
    release.await.map(|_| ())
}
