use async_trait::async_trait;
use common::events::OrderCompleted;
use common::listener::{ListenError, Listener};

use super::follow_order;
use crate::AppState;

/// Begins to capture the payment of a complete order.
pub(crate) struct OrderCompletedListener;

#[async_trait]
impl Listener<AppState> for OrderCompletedListener {
    type Event = OrderCompleted;
    const NAME: &'static str = "payments_order-completed";

    async fn on_message(app: &AppState, event: OrderCompleted) -> Result<(), ListenError> {
        let order = app.orders.apply(event.0.into()).await?;
        Ok(follow_order(app, &order).await?)
    }
}
