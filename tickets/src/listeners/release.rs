//! Releasing a ticket, shared by both listeners.

use common::ids::{OrderId, TicketId};
use common::store::StoreError;

use crate::AppState;

/// Releases a ticket from a cancelled order. A reservation for another order stands.
pub(super) async fn release(app: &AppState, ticket: TicketId, order: OrderId) -> Result<(), StoreError> {
    app.tickets.update(ticket, |ticket| Ok(ticket.release(order))).await.map(drop)
}
