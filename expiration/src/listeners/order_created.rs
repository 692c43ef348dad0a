use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::OrderCreated;
use common::trace::TraceParent;

use crate::AppState;
use crate::rebuild::job;

/// Schedules the end of a new order's time.
pub(crate) struct OrderCreatedListener;

#[async_trait]
impl Listener<AppState> for OrderCreatedListener {
    type Event = OrderCreated;
    const NAME: &'static str = "expiration_order-created";

    /// Repeated after the job is done, or late and after the order was cancelled, it schedules a job that tells the
    /// orders service what it knows already.
    async fn on_message(app: &AppState, event: OrderCreated) -> Result<(), ListenError> {
        app.jobs.schedule(&job(event.id, event.expires_at, TraceParent::current().as_ref())).await?;
        app.alarm.note(event.expires_at);
        Ok(())
    }
}
