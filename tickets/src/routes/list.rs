use axum::extract::State;
use common::http::{ApiError, Page, Paged};
use common::ids::TicketId;

use super::view::TicketView;
use crate::AppState;

/// `GET /api/tickets`: lists the tickets for sale, newest first.
pub(crate) async fn list_tickets(
    State(app): State<AppState>,
    page: Page<TicketId>,
) -> Result<Paged<TicketView>, ApiError> {
    let tickets = app.tickets.find(page.query().without("orderId")).await?;
    Ok(page.respond(tickets))
}
