use async_trait::async_trait;
use common::events::OrderCreated;
use common::listener::{ListenError, Listener};

use crate::AppState;

/// Copies a new order.
pub(crate) struct OrderCreatedListener;

#[async_trait]
impl Listener<AppState> for OrderCreatedListener {
    type Event = OrderCreated;
    const NAME: &'static str = "payments_order-created";

    async fn on_message(app: &AppState, event: OrderCreated) -> Result<(), ListenError> {
        app.orders.apply(event.0.into()).await.map(drop)
    }
}
