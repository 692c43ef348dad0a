use axum::extract::State;
use axum::http::StatusCode;
use common::bus::Message;
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
    let cancelled = app.orders.update(id.known()?, |order| {
        if order.user_id != buyer.id {
            return Err(OrderError::NotTheBuyer);
        }
        Ok(order.cancel()?.as_ref().map(Message::of))
    });
    cancelled.await?.ok_or(OrderError::NotFound)?;
    Ok(StatusCode::NO_CONTENT)
}
