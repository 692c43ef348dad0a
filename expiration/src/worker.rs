//! The worker: publishes `expiration:complete` for every job that is due.

use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, BusError, Message};
use common::clock::{Clock, Timestamp};
use common::events::{Event, ExpirationComplete};
use common::ids::OrderId;
use common::jobs::{DelayedJobs, Job, JobsError};
use common::trace::TraceParent;
use futures_util::stream::{self, TryStreamExt};
use metrics::{counter, gauge, histogram};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::alarm::Alarm;
use crate::rebuild::rebuild;

/// Jobs claimed and published together.
const BATCH: usize = 500;

/// Batches in flight: while one is published, the next is claimed.
const AT_ONCE: usize = 3;

/// How long a claimed job is ours: what a crash between claim and [`DelayedJobs::done`] costs in lateness.
///
/// Should publishing take longer and another worker claim the job too, the event is sent twice and dropped once, by
/// its message id.
const LEASE: Duration = Duration::from_secs(1);

/// How long to wait after a failure; by then the lease of what could not be published is over.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest sleep. Whatever this process schedules wakes the worker in time; only jobs that other replicas schedule
/// in an engine shared with them may have gone unnoticed meanwhile. Those replicas are awake for them, so this bounds
/// how late they are should one of them die.
///
/// It also bounds how long it takes until lost jobs are noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error(transparent)]
    Bus(#[from] BusError),
}

pub(crate) struct Worker {
    pub(crate) jobs: Arc<dyn DelayedJobs>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Arc<Alarm>,
}

impl Worker {
    /// Works until `stop`, ending the batch that has begun.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.alarm.unset();
            let outcome = self.work(&stop).await;
            let rest = async {
                match outcome {
                    Ok(next) => self.alarm.sleep_until(next).await,
                    Err(error) => {
                        warn!(%error, "could not tell what has expired; trying again");
                        self.clock.sleep_until(self.clock.now().plus(PAUSE)).await;
                    }
                }
            };
            // Cancelled or rested: the loop looks which.
            let _rested = stop.run_until_cancelled(rest).await;
        }
    }

    async fn work(&self, stop: &CancellationToken) -> Result<Timestamp, WorkError> {
        if !self.jobs.is_complete().await? {
            info!("the delayed jobs are new, or were lost: reading the history of orders");
            let mark = self.jobs.begin_rebuild().await?;
            // Begun again at the next start.
            let Some(rebuilt) = stop.run_until_cancelled(rebuild(&*self.jobs, &*self.bus)).await else {
                return Ok(self.clock.now());
            };
            let jobs = rebuilt?;
            if !self.jobs.mark_complete(&mark).await? {
                warn!("delayed jobs were lost while they were scheduled");
                return Ok(self.clock.now());
            }
            info!(jobs, "scheduled the jobs of all orders that have not ended");
        }
        self.publish_due(stop).await
    }

    /// Publishes what is due, and returns when to look again.
    async fn publish_due(&self, stop: &CancellationToken) -> Result<Timestamp, WorkError> {
        self.count_due().await?;
        let claims = stream::try_unfold((), async |()| {
            if stop.is_cancelled() {
                return Ok(None);
            }
            let jobs = self.jobs.claim(self.clock.now(), BATCH, LEASE).await?;
            Ok::<_, WorkError>((!jobs.is_empty()).then_some((jobs, ())))
        });
        claims.try_for_each_concurrent(AT_ONCE, async |jobs| self.publish(&jobs).await).await?;
        self.count_due().await?;
        let latest = self.clock.now().plus(LONGEST_SLEEP);
        Ok(self.jobs.next_due().await?.map_or(latest, |next| next.min(latest)))
    }

    async fn count_due(&self) -> Result<(), WorkError> {
        gauge!("jobs_due").set(self.jobs.count_due(self.clock.now()).await? as f64);
        Ok(())
    }

    /// Publishes first and forgets the jobs then: after a crash in between they are published again, never not at all.
    async fn publish(&self, jobs: &[Job]) -> Result<(), WorkError> {
        let messages: Vec<Message> = jobs.iter().filter_map(message).collect();
        self.bus.publish(&messages).await?;
        let now = self.clock.now();
        for job in jobs {
            histogram!("jobs_lateness_seconds").record(now.since(job.due).as_secs_f64());
        }
        counter!("jobs_fired_total").increment(jobs.len() as u64);
        let subject = ExpirationComplete::SUBJECT.as_str();
        counter!("events_published_total", "subject" => subject).increment(messages.len() as u64);
        debug!(jobs = jobs.len(), "published expirations");

        let ids: Vec<String> = jobs.iter().map(|job| job.id.clone()).collect();
        Ok(self.jobs.done(&ids).await?)
    }
}

/// A job is named after its order, and carries the trace context that the order was created in.
fn message(job: &Job) -> Option<Message> {
    let Ok(order_id) = job.id.parse::<OrderId>() else {
        error!(job = job.id, "the job is not named after an order; dropped");
        return None;
    };
    Some(Message { traceparent: TraceParent::parse(&job.payload), ..Message::of(&ExpirationComplete { order_id }) })
}
