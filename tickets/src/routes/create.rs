use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use common::http::{ApiError, Body};
use common::ids::TicketId;
use common::session::CurrentUser;

use super::body::TicketBody;
use super::view::TicketView;
use crate::AppState;
use crate::ticket::Ticket;

/// `POST /api/tickets`: lists a ticket for sale.
pub(crate) async fn create_ticket(
    State(app): State<AppState>,
    seller: CurrentUser,
    Body(body): Body<TicketBody>,
) -> Result<(StatusCode, Json<TicketView>), ApiError> {
    let id = TicketId::generate(app.clock.now());
    let (title, price) = body.into_parts()?;
    let (ticket, event) = Ticket::list(id, seller.id, title, price);
    app.tickets.insert(&ticket, event).await?;
    Ok((StatusCode::CREATED, Json(ticket.into())))
}
