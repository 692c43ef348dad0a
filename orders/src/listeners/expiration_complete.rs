use async_trait::async_trait;
use common::events::ExpirationComplete;
use common::listener::{ListenError, Listener};

use crate::AppState;
use crate::error::OrderError;

/// Cancels an expired order.
///
/// Does nothing if the order is complete: expiry may lose that race.
pub(crate) struct ExpirationCompleteListener;

#[async_trait]
impl Listener<AppState> for ExpirationCompleteListener {
    type Event = ExpirationComplete;
    const NAME: &'static str = "orders_expiration-complete";

    async fn on_message(app: &AppState, event: ExpirationComplete) -> Result<(), ListenError> {
        let (id, now) = (event.order_id, app.clock.now());
        let expired = app.orders.update(id, |order| -> Result<_, OrderError> { Ok(order.expire(now)?) });
        expired.await?.ok_or(OrderError::UnknownOrder(id))?;
        Ok(())
    }
}
