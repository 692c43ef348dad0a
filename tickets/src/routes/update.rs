use axum::Json;
use axum::extract::State;
use common::http::{ApiError, Body, PathId};
use common::ids::TicketId;
use common::session::CurrentUser;

use super::TicketBody;
use super::view::TicketView;
use crate::AppState;
use crate::error::TicketError;

/// `PUT /api/tickets/{id}`: lets the seller edit a ticket that is not reserved.
pub(crate) async fn update_ticket(
    State(app): State<AppState>,
    seller: CurrentUser,
    id: PathId<TicketId>,
    Body(body): Body<TicketBody>,
) -> Result<Json<TicketView>, ApiError> {
    let edited = app.tickets.update(id.known()?, |ticket| -> Result<_, TicketError> {
        Ok(ticket.edit(seller.id, body.title.clone(), body.price)?)
    });
    let ticket = edited.await?.ok_or(TicketError::NotFound)?;
    Ok(Json(ticket.into()))
}
