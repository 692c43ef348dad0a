use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::OrderCancelled;

use super::note;
use crate::AppState;
use crate::settlement::release;

/// Voids or refunds what was paid for a cancelled order.
pub(crate) struct OrderCancelledListener;

#[async_trait]
impl Listener<AppState> for OrderCancelledListener {
    type Event = OrderCancelled;
    const NAME: &'static str = "payments_order-cancelled";

    /// Notes it before it looks for a payment: an attempt that it does not find has yet to read the note.
    async fn on_message(app: &AppState, event: OrderCancelled) -> Result<(), ListenError> {
        note(app, event.id, |copy| copy.cancelled(event.version)).await?;
        Ok(release(app, event.id).await?)
    }
}
