use async_trait::async_trait;
use common::events::OrderUpdated;
use common::listener::{ListenError, Listener};

use crate::AppState;

/// Updates the copy of an order that waits for its buyer.
pub(crate) struct OrderUpdatedListener;

#[async_trait]
impl Listener<AppState> for OrderUpdatedListener {
    type Event = OrderUpdated;
    const NAME: &'static str = "payments_order-updated";

    async fn on_message(app: &AppState, event: OrderUpdated) -> Result<(), ListenError> {
        app.orders.apply(event.0.into()).await.map(drop)
    }
}
