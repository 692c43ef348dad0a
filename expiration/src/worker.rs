//! The worker: publishes `expiration:complete` for each job that is due.

use std::sync::Arc;
use std::time::Duration;

use common::bus::Publisher;
use common::clock::{Clock, Timestamp};
use common::error::chain;
use common::events::{Event, ExpirationComplete, Message};
use common::jobs::{DelayedJobs, Job};
use common::trace::in_new_trace;
use futures_util::stream::{self, TryStreamExt};
use metrics::{counter, gauge, histogram};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::alarm::Alarm;
use crate::error::WorkError;
use crate::job::message;

/// How many jobs to claim and publish at once.
const BATCH: usize = 500;

/// How many batches are in flight, so that one is claimed while another is published.
const MAX_IN_FLIGHT: usize = 3;

/// How long a claimed job is ours: the delay after a crash between claim and [`DelayedJobs::done`].
///
/// If publishing takes longer, another worker may publish the event as well. The bus drops it by its message id.
const LEASE: Duration = Duration::from_secs(1);

/// The pause after a failure, long enough for the leases of unpublished jobs to expire.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest sleep. Jobs scheduled by this process wake the worker anyway. This bounds the delay of jobs that another
/// replica scheduled before it crashed.
const MAX_SLEEP: Duration = Duration::from_secs(5);

pub(crate) struct Worker {
    pub(crate) jobs: Arc<dyn DelayedJobs>,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) alarm: Arc<Alarm>,
}

impl Worker {
    /// Publishes expirations until `stop`, then finishes the batches in flight.
    pub(crate) async fn run(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            self.alarm.reset();
            let result = in_new_trace("expiration", async {
                let result = self.publish_due(&stop).await;
                if let Err(error) = &result {
                    warn!(error = chain(error), "could not publish expirations, will retry");
                }
                result
            })
            .await;
            let pause = async {
                match result {
                    Ok(next) => self.alarm.sleep_until(next).await,
                    Err(_) => self.clock.sleep_until(self.clock.now().plus(PAUSE)).await,
                }
            };
            let _cancelled = stop.run_until_cancelled(pause).await;
        }
    }

    /// Publishes due jobs and returns when to look again.
    async fn publish_due(&self, stop: &CancellationToken) -> Result<Timestamp, WorkError> {
        self.record_due().await?;
        let claims = stream::try_unfold((), async |()| {
            if stop.is_cancelled() {
                return Ok(None);
            }
            let jobs = self.jobs.claim(self.clock.now(), BATCH, LEASE).await?;
            Ok::<_, WorkError>((!jobs.is_empty()).then_some((jobs, ())))
        });
        claims.try_for_each_concurrent(MAX_IN_FLIGHT, async |jobs| self.publish(&jobs).await).await?;
        self.record_due().await?;
        let latest = self.clock.now().plus(MAX_SLEEP);
        Ok(self.jobs.next_due().await?.map_or(latest, |next| next.min(latest)))
    }

    /// Sets the gauge of due jobs.
    async fn record_due(&self) -> Result<(), WorkError> {
        gauge!("jobs_due").set(self.jobs.count_due(self.clock.now()).await? as f64);
        Ok(())
    }

    /// Publishes jobs, then deletes them: a crash in between publishes them again.
    async fn publish(&self, jobs: &[Job]) -> Result<(), WorkError> {
        let messages = jobs.iter().filter_map(|job| message(job).transpose()).collect::<Result<Vec<Message>, _>>()?;
        self.publisher.publish(&messages).await?;
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
