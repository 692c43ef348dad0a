//! The delayed job of an order: its id is the order's id, its payload the trace context of the order's creation.

use common::clock::Timestamp;
use common::events::{ExpirationComplete, Message};
use common::ids::OrderId;
use common::jobs::Job;
use common::trace::TraceParent;
use tracing::error;

/// Returns the job that is due when the order's time is up.
pub(crate) fn job(order: OrderId, due: Timestamp, trace: Option<&TraceParent>) -> Job {
    Job { id: order.to_string(), due, payload: trace.map_or_else(String::new, ToString::to_string) }
}

/// Returns the event to publish when the job is due, or `None` if its id is not an order's.
pub(crate) fn message(job: &Job) -> Result<Option<Message>, serde_json::Error> {
    let Ok(order_id) = job.id.parse() else {
        error!(job = job.id, "dropped a delayed job whose id is not an order id");
        return Ok(None);
    };
    let message = Message::new(&ExpirationComplete { order_id })?;
    Ok(Some(Message { traceparent: TraceParent::parse(&job.payload), ..message }))
}
