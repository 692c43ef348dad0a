use axum::extract::State;
use axum::http::StatusCode;
use common::http::{ApiError, PathId};
use common::ids::OrderId;
use common::session::CurrentUser;

use crate::AppState;
use crate::error::OrderError;

/// `DELETE /api/orders/{id}`: cancels one of the caller's orders, or does nothing if it is cancelled already.
pub(crate) async fn delete_order(
    State(app): State<AppState>,
    buyer: CurrentUser,
    id: PathId<OrderId>,
) -> Result<StatusCode, ApiError> {
    let id = id.known()?;
    let cancelled = app.orders.update(id, |order| -> Result<_, OrderError> {
        order.check_buyer(buyer.id)?;
        Ok(order.cancel()?)
    });
    cancelled.await?.ok_or(OrderError::UnknownOrder(id))?;
    Ok(StatusCode::NO_CONTENT)
}
