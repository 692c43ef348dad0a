use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::OrderCompleted;

use super::note;
use crate::AppState;
use crate::settlement::capture;

/// Captures what was authorised for an order that is complete.
pub(crate) struct OrderCompletedListener;

#[async_trait]
impl Listener<AppState> for OrderCompletedListener {
    type Event = OrderCompleted;
    const NAME: &'static str = "payments_order-completed";

    async fn on_message(app: &AppState, event: OrderCompleted) -> Result<(), ListenError> {
        note(app, event.id, |copy| copy.completed(event.version)).await?;
        Ok(capture(app, event.id).await?)
    }
}
