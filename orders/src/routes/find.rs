use axum::Json;
use axum::extract::State;
use common::http::{ApiError, PathId};
use common::ids::OrderId;
use common::session::CurrentUser;

use super::OrderView;
use crate::AppState;
use crate::error::OrderError;

/// `GET /api/orders/{id}`: returns one of the caller's orders.
pub(crate) async fn find_order(
    State(app): State<AppState>,
    buyer: CurrentUser,
    id: PathId<OrderId>,
) -> Result<Json<OrderView>, ApiError> {
    let order = app.orders.get(id.known()?).await?.ok_or(OrderError::NotFound)?;
    if order.user_id != buyer.id {
        return Err(OrderError::NotTheBuyer.into());
    }
    Ok(Json(order.into()))
}
