//! Scheduling, many jobs due at one instant, and jobs due at a steady rate: claimed, published and done as the
//! expiration worker does it. A job counts as fired when its event is durable on the bus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::bus::{Bus, Message};
use common::clock::{Clock, SystemClock, Timestamp};
use common::events::Subject;
use common::jobs::{DelayedJobs, Job};
use common::trace::TraceParent;
use futures_util::future::try_join;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::options::Options;
use crate::report::{Report, Row};

const IN_FLIGHT: usize = 32;

/// What the expiration worker claims at once, and for how long.
const BATCH: usize = 500;
const LEASE: Duration = Duration::from_secs(1);

/// Between jobs at a steady rate: 500 a second.
const PERIOD: Duration = Duration::from_millis(2);

/// How long before its time a job is scheduled, at least.
const AHEAD: Duration = Duration::from_secs(1);

/// The longest sleep of the worker: jobs that are scheduled meanwhile are further ahead than this.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

pub(crate) async fn measure(
    report: &mut Report,
    engine: &'static str,
    jobs: &Arc<dyn DelayedJobs>,
    bus: &dyn Bus,
    options: &Options,
) -> Result<()> {
    let count = options.due_at_once();
    let began = Instant::now();
    // They stay: a worker has others to look past.
    schedule(jobs, "later", count, SystemClock.now().plus(Duration::from_secs(3_600))).await?;
    let took = began.elapsed();
    report.row(Row::rate("schedule, 32 in flight", engine, count, took));

    let due = SystemClock.now().plus(2 * took + AHEAD);
    schedule(jobs, "at-once", count, due).await?;
    ensure!(SystemClock.now() < due, "{engine}: the machine was too busy to schedule {count} jobs ahead of time");
    let lateness = fire(&**jobs, bus, count).await?;
    let took = SystemClock.now().since(due);
    report.row(Row::rate("fire, all due at once", engine, count, took).late(lateness));

    let count = usize::try_from(options.steady().as_millis() / PERIOD.as_millis())?;
    let first = SystemClock.now().plus(AHEAD);
    let scheduling = async {
        let (mut ticks, mut due) = (interval(PERIOD), first);
        for at in 0..count {
            ticks.tick().await;
            jobs.schedule(&job("steady", at, due)).await?;
            due = due.plus(PERIOD);
        }
        Ok(())
    };
    let ((), lateness) = try_join(scheduling, fire(&**jobs, bus, count)).await?;
    let took = SystemClock.now().since(first);
    report.row(Row::rate("fire, 500 a second", engine, count, took).late(lateness));
    Ok(())
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

/// Works until so many jobs are done; returns how late each was.
async fn fire(jobs: &dyn DelayedJobs, bus: &dyn Bus, count: usize) -> Result<Vec<Duration>> {
    let mut lateness = Vec::with_capacity(count);
    while lateness.len() < count {
        let now = SystemClock.now();
        jobs.count_due(now).await?;
        let claimed = jobs.claim(now, BATCH, LEASE).await?;
        if claimed.is_empty() {
            let latest = now.plus(LONGEST_SLEEP);
            let next = jobs.next_due().await?.map_or(latest, |next| next.min(latest));
            SystemClock.sleep_until(next).await;
            continue;
        }
        let messages: Vec<Message> = claimed.iter().map(expiration).collect();
        bus.publish(&messages).await?;
        let now = SystemClock.now();
        lateness.extend(claimed.iter().map(|job| now.since(job.due)));
        let ids: Vec<String> = claimed.into_iter().map(|job| job.id).collect();
        jobs.done(&ids).await?;
    }
    Ok(lateness)
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
