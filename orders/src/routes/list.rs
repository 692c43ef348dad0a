use axum::extract::State;
use common::http::{ApiError, Page, Paged};
use common::ids::OrderId;
use common::session::CurrentUser;

use super::view::OrderView;
use crate::AppState;
use crate::order::Order;

/// `GET /api/orders`: lists the caller's orders, newest first.
pub(crate) async fn list_orders(
    State(app): State<AppState>,
    buyer: CurrentUser,
    page: Page<OrderId>,
) -> Result<Paged<OrderView>, ApiError> {
    let orders = app.orders.find(page.query().with(Order::USER, buyer.id)).await?;
    Ok(page.respond(orders))
}
