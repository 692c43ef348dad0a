use axum::extract::State;
use axum::response::Response;
use common::http::{ApiError, Page};
use common::ids::TicketId;

use super::view::TicketView;
use crate::AppState;

/// `GET /api/tickets`: lists the tickets for sale, newest first.
pub(crate) async fn list_tickets(State(app): State<AppState>, page: Page<TicketId>) -> Result<Response, ApiError> {
    let tickets = app.tickets.find(page.query().without("orderId")).await?;
    Ok(page.respond::<_, TicketView>(tickets))
}
