//! Making the delayed jobs anew, from the history of orders.

use std::collections::HashSet;

use common::bus::{Bus, BusError};
use common::clock::Timestamp;
use common::events::{Event, OrderCancelled, OrderCompleted, OrderCreated};
use common::ids::OrderId;
use common::jobs::{DelayedJobs, Job};
use common::trace::TraceParent;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::worker::WorkError;

/// Events read at once.
const PAGE: usize = 1_000;

/// Jobs scheduled at once.
const IN_FLIGHT: usize = 32;

/// Schedules a job for every order that was created and has been neither completed nor cancelled since.
///
/// The listeners go on meanwhile. An order that ends between the reading of its end and of its beginning gets a job that
/// tells the orders service what it knows already.
pub(crate) async fn rebuild(jobs: &dyn DelayedJobs, bus: &dyn Bus) -> Result<usize, WorkError> {
    let mut ended = HashSet::new();
    each(bus, |event: OrderCancelled, _| ended.extend([event.id])).await?;
    each(bus, |event: OrderCompleted, _| ended.extend([event.id])).await?;
    let mut living = Vec::new();
    let keep = |event: OrderCreated, trace: Option<TraceParent>| {
        if !ended.contains(&event.id) {
            living.push(job(event.id, event.expires_at, trace.as_ref()));
        }
    };
    each(bus, keep).await?;
    stream::iter(&living).map(Ok).try_for_each_concurrent(IN_FLIGHT, |job| jobs.schedule(job)).await?;
    Ok(living.len())
}

/// The job that tells when the time of an order is up, in the trace context that the order was created in.
pub(crate) fn job(order: OrderId, due: Timestamp, trace: Option<&TraceParent>) -> Job {
    Job { id: order.to_string(), due, payload: trace.map_or_else(String::new, ToString::to_string) }
}

/// Tells every event of a kind, the oldest first. Those that do not parse are left out: our listener makes them dead
/// letters.
async fn each<E: Event>(bus: &dyn Bus, mut tell: impl FnMut(E, Option<TraceParent>)) -> Result<(), BusError> {
    let mut after = 0;
    loop {
        let page = bus.history(E::SUBJECT, after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        for (_, message) in page {
            if let Ok(event) = serde_json::from_str(&message.payload) {
                tell(event, message.traceparent);
            }
        }
    }
}
