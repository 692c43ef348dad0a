use axum::Json;
use axum::extract::State;
use common::http::{ApiError, PathId};
use common::ids::OrderId;
use common::session::CurrentUser;

use super::view::OrderView;
use crate::AppState;
use crate::error::OrderError;

/// `GET /api/orders/{id}`: returns one of the caller's orders.
pub(crate) async fn find_order(
    State(app): State<AppState>,
    buyer: CurrentUser,
    id: PathId<OrderId>,
) -> Result<Json<OrderView>, ApiError> {
    let id = id.known()?;
    let order = app.orders.get(id).await?.ok_or(OrderError::UnknownOrder(id))?;
    order.check_buyer(buyer.id).map_err(OrderError::from)?;
    Ok(Json(order.into()))
}
