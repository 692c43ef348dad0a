use async_trait::async_trait;
use common::events::OrderCancelled;
use common::listener::{ListenError, Listener};

use super::follow_order;
use crate::AppState;

/// Begins to void or refund the payment of a cancelled order.
pub(crate) struct OrderCancelledListener;

#[async_trait]
impl Listener<AppState> for OrderCancelledListener {
    type Event = OrderCancelled;
    const NAME: &'static str = "payments_order-cancelled";

    /// Updates the copy before it looks for a payment, so that a payment that starts later sees the cancellation.
    async fn on_message(app: &AppState, event: OrderCancelled) -> Result<(), ListenError> {
        let order = app.orders.apply(event.0.into()).await?;
        Ok(follow_order(app, &order).await?)
    }
}
