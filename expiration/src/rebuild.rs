//! Rebuilds lost jobs from the history of orders.

use std::collections::HashSet;
use std::sync::Arc;

use common::bus::{Bus, BusError};
use common::events::{Event, OrderCancelled, OrderCompleted, OrderCreated};
use common::jobs::{DelayedJobs, Job};
use common::trace::TraceParent;
use futures_util::stream::{self, StreamExt, TryStreamExt};

use crate::error::WorkError;
use crate::job::job;

/// How many events to read at once.
const PAGE: usize = 1_000;

/// How many jobs to schedule concurrently.
const MAX_IN_FLIGHT: usize = 32;

/// Schedules a job for each open order in the history.
pub(crate) struct Rebuild {
    pub(crate) jobs: Arc<dyn DelayedJobs>,
    pub(crate) bus: Arc<dyn Bus>,
}

impl Rebuild {
    /// Schedules a job for each order that was created and has neither completed nor been cancelled. Returns their
    /// number.
    ///
    /// Listeners keep running. An order that ends after its history was read gets a job nevertheless; the orders
    /// service ignores the resulting event.
    pub(crate) async fn run(&self) -> Result<usize, WorkError> {
        let open = self.open_orders().await?;
        let schedule = |job| self.jobs.schedule(job);
        stream::iter(&open).map(Ok).try_for_each_concurrent(MAX_IN_FLIGHT, schedule).await?;
        Ok(open.len())
    }

    async fn open_orders(&self) -> Result<Vec<Job>, BusError> {
        let mut ended = HashSet::new();
        self.for_each(|event: OrderCancelled, _| ended.extend([event.id])).await?;
        self.for_each(|event: OrderCompleted, _| ended.extend([event.id])).await?;
        let mut open = Vec::new();
        let keep = |event: OrderCreated, trace: Option<TraceParent>| {
            if !ended.contains(&event.id) {
                open.push(job(event.id, event.expires_at, trace.as_ref()));
            }
        };
        self.for_each(keep).await?;
        Ok(open)
    }

    /// Reads all events of a type, oldest first. Skips invalid payloads, which the listener has dead-lettered.
    async fn for_each<E: Event>(&self, mut handle: impl FnMut(E, Option<TraceParent>)) -> Result<(), BusError> {
        let mut after = 0;
        loop {
            let page = self.bus.history(E::SUBJECT, after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = *last;
            for (_, message) in page {
                if let Ok(event) = serde_json::from_str(&message.payload) {
                    handle(event, message.traceparent);
                }
            }
        }
    }
}
