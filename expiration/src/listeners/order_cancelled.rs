use async_trait::async_trait;
use common::events::OrderCancelled;
use common::listener::{ListenError, Listener};

use crate::AppState;

/// Deletes the job of a cancelled order.
pub(crate) struct OrderCancelledListener;

#[async_trait]
impl Listener<AppState> for OrderCancelledListener {
    type Event = OrderCancelled;
    const NAME: &'static str = "expiration_order-cancelled";

    async fn on_message(app: &AppState, event: OrderCancelled) -> Result<(), ListenError> {
        Ok(app.jobs.cancel(&event.id.to_string()).await?)
    }
}
