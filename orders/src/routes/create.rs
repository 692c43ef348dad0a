use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use common::http::{ApiError, Body, Required};
use common::ids::{TicketId, UserId};
use common::session::CurrentUser;
use common::store::{Query, StoreError};
use serde::Deserialize;
use validator::Validate;

use super::view::OrderView;
use crate::AppState;
use crate::error::OrderError;
use crate::order::Order;

/// A new order.
#[derive(Deserialize, Validate)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CreateOrder {
    #[validate(required(message = "TicketId must be provided"))]
    ticket_id: Required<TicketId>,
}

/// `POST /api/orders`: reserves a ticket for the signed-in user.
pub(crate) async fn create_order(
    State(app): State<AppState>,
    buyer: CurrentUser,
    Body(body): Body<CreateOrder>,
) -> Result<(StatusCode, Json<OrderView>), ApiError> {
    let order = reserve(&app, buyer.id, body.ticket_id.get()?).await?;
    Ok((StatusCode::CREATED, Json(order.into())))
}

async fn reserve(app: &AppState, buyer: UserId, ticket: TicketId) -> Result<Order, OrderError> {
    let copy = app.tickets.get_arriving(ticket).await?.ok_or(OrderError::UnknownTicket(ticket))?;
    // Saves a write for most duplicates; the unique index is what keeps them out.
    let live = app.orders.find(Query::newest(1).with(Order::LIVE_TICKET, ticket)).await?;
    if !live.is_empty() {
        return Err(OrderError::Reserved(ticket));
    }
    let (order, event) = Order::place(buyer, copy, app.clock.now(), app.reservation);
    match app.orders.insert(&order, event).await {
        Ok(()) => Ok(order),
        Err(StoreError::Duplicate(_)) => Err(OrderError::Reserved(ticket)),
        Err(error) => Err(error.into()),
    }
}
