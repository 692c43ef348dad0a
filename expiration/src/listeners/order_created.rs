use async_trait::async_trait;
use common::events::OrderCreated;
use common::listener::{ListenError, Listener};
use common::trace::TraceParent;

use crate::AppState;
use crate::job::{is_long_expired, job};

/// Schedules the expiration of a new order.
pub(crate) struct OrderCreatedListener;

#[async_trait]
impl Listener<AppState> for OrderCreatedListener {
    type Event = OrderCreated;
    const NAME: &'static str = "expiration_order-created";

    /// An event that is redelivered after its job is done, or arrives after the order has ended, schedules a job again.
    /// The orders service ignores the resulting event.
    async fn on_message(app: &AppState, event: OrderCreated) -> Result<(), ListenError> {
        if is_long_expired(event.expires_at, app.clock.now()) {
            return Ok(());
        }
        app.jobs.schedule(&job(event.id, event.expires_at, TraceParent::current().as_ref())).await?;
        app.alarm.note(event.expires_at);
        Ok(())
    }
}
