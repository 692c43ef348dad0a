use axum::Json;
use axum::extract::State;
use common::http::{ApiError, PathId};
use common::ids::TicketId;

use super::view::TicketView;
use crate::AppState;
use crate::error::TicketError;

/// `GET /api/tickets/{id}`: returns a ticket, reserved or not.
pub(crate) async fn find_ticket(
    State(app): State<AppState>,
    id: PathId<TicketId>,
) -> Result<Json<TicketView>, ApiError> {
    let id = id.known()?;
    let ticket = app.tickets.get(id).await?.ok_or(TicketError::UnknownTicket(id))?;
    Ok(Json(ticket.into()))
}
