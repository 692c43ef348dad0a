use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::OrderCreated;
use common::store::StoreError;

use crate::AppState;
use crate::order::OrderCopy;

/// Copies a new order.
pub(crate) struct OrderCreatedListener;

#[async_trait]
impl Listener<AppState> for OrderCreatedListener {
    type Event = OrderCreated;
    const NAME: &'static str = "payments_order-created";

    async fn on_message(app: &AppState, event: OrderCreated) -> Result<(), ListenError> {
        match app.orders.insert(&OrderCopy::of(&event), None).await {
            // Copied before, and maybe changed since.
            Err(StoreError::Conflict) => Ok(()),
            copied => Ok(copied?),
        }
    }
}
