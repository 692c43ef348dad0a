use async_trait::async_trait;
use common::events::OrderCompleted;
use common::listener::{ListenError, Listener};

use crate::AppState;

/// Deletes the job of a completed order.
pub(crate) struct OrderCompletedListener;

#[async_trait]
impl Listener<AppState> for OrderCompletedListener {
    type Event = OrderCompleted;
    const NAME: &'static str = "expiration_order-completed";

    async fn on_message(app: &AppState, event: OrderCompleted) -> Result<(), ListenError> {
        Ok(app.jobs.cancel(&event.id.to_string()).await?)
    }
}
