use axum::Json;
use axum::extract::State;
use common::http::{ApiError, PathId};
use common::ids::TicketId;

use super::view::TicketView;
use crate::AppState;

/// `GET /api/tickets/{id}`: returns a ticket, reserved or not.
pub(crate) async fn find_ticket(
    State(app): State<AppState>,
    id: PathId<TicketId>,
) -> Result<Json<TicketView>, ApiError> {
    let ticket = app.tickets.get(id.known()?).await?.ok_or(ApiError::NotFound)?;
    Ok(Json(ticket.into()))
}
