//! What a delayed job holds: its id is the order's, its payload the trace context that the order was created in.

use common::clock::Timestamp;
use common::events::{ExpirationComplete, Message};
use common::ids::OrderId;
use common::jobs::Job;
use common::trace::TraceParent;
use tracing::error;

/// The job that is due when the order's time is up.
pub(crate) fn job(order: OrderId, due: Timestamp, trace: Option<&TraceParent>) -> Job {
    Job { id: order.to_string(), due, payload: trace.map_or_else(String::new, ToString::to_string) }
}

/// The event to publish for a job that is due. `None` if the job is not named after an order.
pub(crate) fn message(job: &Job) -> Result<Option<Message>, serde_json::Error> {
    let Ok(order_id) = job.id.parse() else {
        error!(job = job.id, "dropped a job that is not named after an order");
        return Ok(None);
    };
    let message = Message::new(&ExpirationComplete { order_id })?;
    Ok(Some(Message { traceparent: TraceParent::parse(&job.payload), ..message }))
}
