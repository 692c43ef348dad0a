use axum::Json;
use axum::extract::State;
use common::http::{ApiError, Body, PathId};
use common::ids::TicketId;
use common::session::CurrentUser;

use super::body::TicketBody;
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
    let id = id.known()?;
    let (title, price) = body.into_parts()?;
    let edited = app
        .tickets
        .update(id, |ticket| -> Result<_, TicketError> { Ok(ticket.edit(seller.id, title.clone(), price)?) });
    let ticket = edited.await?.ok_or(TicketError::UnknownTicket(id))?;
    Ok(Json(ticket.into()))
}
