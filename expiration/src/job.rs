//! The delayed job of an order: its id is the order's id, its payload the trace context of the order's creation.

use std::time::Duration;

use common::clock::Timestamp;
use common::events::{ExpirationComplete, Message};
use common::ids::OrderId;
use common::jobs::Job;
use common::trace::TraceParent;
use tracing::error;

/// How long after its time an order needs no job: the orders service has cancelled it by then.
const LONG_EXPIRED: Duration = Duration::from_secs(300);

/// Whether an order has expired so long ago that it has ended.
pub(crate) fn is_long_expired(expires_at: Timestamp, now: Timestamp) -> bool {
    now.since(expires_at) > LONG_EXPIRED
}

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
