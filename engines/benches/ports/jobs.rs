//! Scheduling jobs, and firing them like the expiration worker: many due at the same time, and a steady rate.
//!
//! Firing is measured at two points: when the worker has claimed a job, as other queues count it, and when the job's
//! event is durable on the bus.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::bus::Bus;
use common::clock::{Clock, SystemClock, Timestamp};
use common::events::{Message, Subject};
use common::jobs::{DelayedJobs, Job};
use common::trace::TraceParent;
use futures_util::future::try_join;
use futures_util::stream::{self, TryStreamExt};
use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::options::Options;
use crate::report::{Report, Row};

const IN_FLIGHT: usize = 32;

/// The expiration worker's batch size, batches in flight and lease.
const BATCH: usize = 500;
const BATCHES_IN_FLIGHT: usize = 3;
const LEASE: Duration = Duration::from_secs(1);

/// The interval between jobs at a steady rate of 500 per second.
const PERIOD: Duration = Duration::from_millis(2);

/// How long before its due time a job is scheduled, at least.
const LEAD: Duration = Duration::from_secs(2);

/// The longest sleep of the worker. Must be shorter than `LEAD`, so that it notices new jobs before they are due.
const MAX_SLEEP: Duration = Duration::from_millis(50);

pub(crate) async fn measure(
    report: &mut Report,
    engine: &'static str,
    jobs: &Arc<dyn DelayedJobs>,
    bus: &dyn Bus,
    options: &Options,
) -> Result<()> {
    let count = options.due_at_once();
    let began = Instant::now();
    // These jobs stay, so that the worker has others to skip.
    schedule(jobs, "later", count, SystemClock.now().plus(Duration::from_secs(3_600))).await?;
    let took = began.elapsed();
    report.row(Row::new("schedule, 32 in flight", engine, count, took));

    let due = SystemClock.now().plus(4 * took + LEAD);
    schedule(jobs, "at-once", count, due).await?;
    ensure!(
        SystemClock.now() < due,
        "{engine}: {count} jobs were due before all were scheduled, the machine is too busy"
    );
    let fired = fire(&**jobs, bus, count).await?;
    fired.report(report, ["fire, all due at once: claimed", "fire, all due at once: published"], engine, due);

    let count = usize::try_from(options.steady().as_millis() / PERIOD.as_millis())?;
    let first = SystemClock.now().plus(LEAD);
    let scheduling = async {
        let (mut ticks, mut due) = (interval(PERIOD), first);
        for at in 0..count {
            ticks.tick().await;
            jobs.schedule(&job("steady", at, due)).await?;
            due = due.plus(PERIOD);
        }
        Ok(())
    };
    let ((), fired) = try_join(scheduling, fire(&**jobs, bus, count)).await?;
    fired.report(report, ["fire, 500 per second: claimed", "fire, 500 per second: published"], engine, first);
    Ok(())
}

/// The jobs that have reached one point.
struct Progress {
    /// In microseconds.
    lateness: Histogram<u64>,
    last: Option<Timestamp>,
}

impl Progress {
    fn new() -> Result<Self> {
        Ok(Self { lateness: Histogram::new(3)?, last: None })
    }

    fn record(&mut self, jobs: &[Job]) -> Result<()> {
        let now = SystemClock.now();
        for job in jobs {
            self.lateness.record(now.since(job.due).as_micros().try_into()?)?;
        }
        self.last = Some(now);
        Ok(())
    }
}

struct Fired {
    claimed: Progress,
    published: Progress,
}

impl Fired {
    fn report(self, report: &mut Report, names: [&'static str; 2], engine: &'static str, first_due: Timestamp) {
        for (name, Progress { lateness, last }) in names.into_iter().zip([self.claimed, self.published]) {
            let took = last.unwrap_or(first_due).since(first_due);
            let count = lateness.len() as usize;
            report.row(Row { latency: Some(lateness), ..Row::new(name, engine, count, took) });
        }
    }
}

async fn schedule(jobs: &Arc<dyn DelayedJobs>, kind: &'static str, count: usize, due: Timestamp) -> Result<()> {
    let mut schedulers = JoinSet::new();
    for first in 0..IN_FLIGHT {
        let jobs = jobs.clone();
        schedulers.spawn(async move {
            for at in (first..count).step_by(IN_FLIGHT) {
                jobs.schedule(&job(kind, at, due)).await?;
            }
            anyhow::Ok(())
        });
    }
    schedulers.join_all().await.into_iter().collect()
}

/// Claims and publishes due jobs until `count` are done.
async fn fire(jobs: &dyn DelayedJobs, bus: &dyn Bus, count: usize) -> Result<Fired> {
    let fired = RefCell::new(Fired { claimed: Progress::new()?, published: Progress::new()? });
    while fired.borrow().published.lateness.len() < count as u64 {
        jobs.count_due(SystemClock.now()).await?;
        let claims = stream::try_unfold((), async |()| {
            let claimed = jobs.claim(SystemClock.now(), BATCH, LEASE).await?;
            fired.borrow_mut().claimed.record(&claimed)?;
            anyhow::Ok((!claimed.is_empty()).then_some((claimed, ())))
        });
        let publish = async |claimed: Vec<Job>| {
            let messages: Vec<Message> = claimed.iter().map(expiration).collect();
            bus.publish(&messages).await?;
            fired.borrow_mut().published.record(&claimed)?;
            let ids: Vec<String> = claimed.into_iter().map(|job| job.id).collect();
            Ok(jobs.done(&ids).await?)
        };
        claims.try_for_each_concurrent(BATCHES_IN_FLIGHT, publish).await?;
        let latest = SystemClock.now().plus(MAX_SLEEP);
        let next = jobs.next_due().await?.map_or(latest, |next| next.min(latest));
        SystemClock.sleep_until(next).await;
    }
    Ok(fired.into_inner())
}

fn expiration(job: &Job) -> Message {
    Message {
        id: format!("expiration:complete/{}", job.id),
        subject: Subject::ExpirationComplete,
        payload: format!(r#"{{"orderId":"{}"}}"#, job.id),
        traceparent: TraceParent::parse(&job.payload),
    }
}

fn job(kind: &str, at: usize, due: Timestamp) -> Job {
    let payload = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into();
    Job { id: format!("{kind}-{at:016}"), due, payload }
}
