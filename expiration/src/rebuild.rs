//! Rebuilds lost jobs from the history of orders, while the worker publishes what is due.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, HistoryStart, Page};
use common::clock::Clock;
use common::error::chain;
use common::events::{OrderRecord, OrderStatus, Subject};
use common::ids::OrderId;
use common::jobs::{DelayedJobs, Job, Rebuild};
use common::trace::in_new_trace;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::alarm::Alarm;
use crate::error::WorkError;
use crate::job::{is_long_expired, job};

const SUBJECTS: &[Subject] = &[Subject::OrderCreated, Subject::OrderCancelled, Subject::OrderCompleted];

/// How far back an order can be open: the longest reservation that the orders service allows is a day, and an hour is
/// for clocks that differ and events that wait in an outbox.
const HORIZON: Duration = Duration::from_secs(25 * 3600);

/// How often to check for lost jobs.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long after its last page a rebuild is continued by another worker.
const LEASE: Duration = Duration::from_secs(10);

/// How many jobs to schedule concurrently.
const MAX_IN_FLIGHT: usize = 32;

pub(crate) struct Rebuilder {
    pub(crate) jobs: Arc<dyn DelayedJobs>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Arc<Alarm>,
}

impl Rebuilder {
    /// Rebuilds lost jobs until `stop`. A rebuild that is interrupted is continued later, by this worker or another.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let check_repeatedly = async {
            loop {
                if let Err(error) = self.check().await {
                    warn!(error = chain(&error), "could not rebuild delayed jobs, will retry");
                }
                self.clock.sleep_until(self.clock.now().plus(INTERVAL)).await;
            }
        };
        let _stopped: Option<()> = stop.run_until_cancelled(check_repeatedly).await;
    }

    /// Rebuilds the jobs if they were lost, unless another worker does.
    async fn check(&self) -> Result<(), WorkError> {
        while !self.jobs.is_complete().await? {
            let Some(rebuild) = self.jobs.begin_rebuild(self.clock.now(), LEASE).await? else { return Ok(()) };
            match in_new_trace("rebuild", self.rebuild(&rebuild)).await? {
                // There are none at the first start of a new system.
                Some(jobs) => {
                    if let Some(jobs) = NonZeroUsize::new(jobs) {
                        info!(jobs, "delayed jobs were missing, rebuilt them from order history");
                    }
                }
                None => warn!("delayed jobs were lost during the rebuild, starting over"),
            }
        }
        Ok(())
    }

    /// Schedules a job for each order that may be open and has not ended. Returns how many it has scheduled, or `None`
    /// if they were lost again, or another worker has continued the rebuild.
    ///
    /// Listeners keep running. An order that ends after its history was read may keep its job; the orders service
    /// ignores the resulting event.
    async fn rebuild(&self, rebuild: &Rebuild) -> Result<Option<usize>, WorkError> {
        let since = HistoryStart::Since(self.clock.now().minus(HORIZON));
        let mut pages = self.bus.history(SUBJECTS, rebuild.position.map_or(since, HistoryStart::After));
        let mut scheduled = 0;
        while let Some(page) = pages.try_next().await? {
            let Some((position, _)) = page.last() else { continue };
            let position = *position;
            scheduled += self.apply(page).await?;
            if !self.jobs.record_progress(rebuild, position, self.clock.now(), LEASE).await? {
                return Ok(None);
            }
        }
        Ok(self.jobs.mark_complete(rebuild).await?.then_some(scheduled))
    }

    /// Schedules and deletes jobs as the listeners would. Returns how many it has scheduled.
    async fn apply(&self, page: Page) -> Result<usize, WorkError> {
        let now = self.clock.now();
        let mut jobs: HashMap<OrderId, Option<Job>> = HashMap::new();
        for (_, message) in page {
            // The listener has dead-lettered an invalid payload.
            let Ok(order) = message.parse::<OrderRecord>() else { continue };
            if is_long_expired(order.expires_at, now) {
                continue;
            }
            let job = match order.status {
                OrderStatus::Created | OrderStatus::AwaitingPayment => {
                    Some(job(order.id, order.expires_at, message.traceparent.as_ref()))
                }
                OrderStatus::Complete | OrderStatus::Cancelled => None,
            };
            jobs.insert(order.id, job);
        }
        let ended: Vec<String> =
            jobs.iter().filter(|(_, job)| job.is_none()).map(|(order, _)| order.to_string()).collect();
        self.jobs.done(&ended).await?;
        let open: Vec<Job> = jobs.into_values().flatten().collect();
        stream::iter(&open).map(Ok).try_for_each_concurrent(MAX_IN_FLIGHT, |job| self.jobs.schedule(job)).await?;
        if let Some(due) = open.iter().map(|job| job.due).min() {
            self.alarm.note(due);
        }
        Ok(open.len())
    }
}
