use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::OrderCancelled;

use crate::AppState;

/// Forgets the job of an order that was cancelled.
pub(crate) struct OrderCancelledListener;

#[async_trait]
impl Listener<AppState> for OrderCancelledListener {
    type Event = OrderCancelled;
    const NAME: &'static str = "expiration_order-cancelled";

    async fn on_message(app: &AppState, event: OrderCancelled) -> Result<(), ListenError> {
        Ok(app.jobs.cancel(&event.id.to_string()).await?)
    }
}
