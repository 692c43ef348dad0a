//! Scheduling, many jobs due at one instant, and jobs due at a steady rate: claimed, published and done as the
//! expiration worker does it. A job is fired when a worker has it, as other queues count; and then again when what the
//! worker does with it is done, which is an event that is durable on the bus.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use common::bus::Bus;
use common::clock::{Clock, SystemClock, Timestamp};
use common::events::Message;
use common::events::Subject;
use common::jobs::{DelayedJobs, Job};
use common::trace::TraceParent;
use futures_util::future::try_join;
use futures_util::stream::{self, TryStreamExt};
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::options::Options;
use crate::report::{Report, Row};

const IN_FLIGHT: usize = 32;

/// What the expiration worker claims at once, in how many batches, and for how long.
const BATCH: usize = 500;
const AT_ONCE: usize = 3;
const LEASE: Duration = Duration::from_secs(1);

/// Between jobs at a steady rate: 500 a second.
const PERIOD: Duration = Duration::from_millis(2);

/// How long before its time a job is scheduled, at least.
const AHEAD: Duration = Duration::from_secs(2);

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

    let due = SystemClock.now().plus(4 * took + AHEAD);
    schedule(jobs, "at-once", count, due).await?;
    ensure!(SystemClock.now() < due, "{engine}: the machine was too busy to schedule {count} jobs ahead of time");
    let fired = fire(&**jobs, bus, count).await?;
    fired.rows(report, ["fire, all due at once", "  and publish"], engine, due);

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
    let ((), fired) = try_join(scheduling, fire(&**jobs, bus, count)).await?;
    fired.rows(report, ["fire, 500 a second", "  each and publish"], engine, first);
    Ok(())
}

/// How late each job was, and when the last came.
#[derive(Default)]
struct Lateness(Vec<Duration>, Option<Timestamp>);

impl Lateness {
    fn note(&mut self, jobs: &[Job]) {
        let now = SystemClock.now();
        self.0.extend(jobs.iter().map(|job| now.since(job.due)));
        self.1 = Some(now);
    }
}

/// What became of jobs.
#[derive(Default)]
struct Fired {
    claimed: Lateness,
    published: Lateness,
}

impl Fired {
    fn rows(self, report: &mut Report, names: [&'static str; 2], engine: &'static str, first_due: Timestamp) {
        for (name, Lateness(lateness, last)) in names.into_iter().zip([self.claimed, self.published]) {
            let took = last.unwrap_or(first_due).since(first_due);
            report.row(Row::rate(name, engine, lateness.len(), took).late(lateness));
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

/// Works until so many jobs are done.
async fn fire(jobs: &dyn DelayedJobs, bus: &dyn Bus, count: usize) -> Result<Fired> {
    let fired = RefCell::new(Fired::default());
    while fired.borrow().published.0.len() < count {
        jobs.count_due(SystemClock.now()).await?;
        let claims = stream::try_unfold((), async |()| {
            let claimed = jobs.claim(SystemClock.now(), BATCH, LEASE).await?;
            fired.borrow_mut().claimed.note(&claimed);
            anyhow::Ok((!claimed.is_empty()).then_some((claimed, ())))
        });
        let publish = async |claimed: Vec<Job>| {
            let messages: Vec<Message> = claimed.iter().map(expiration).collect();
            bus.publish(&messages).await?;
            fired.borrow_mut().published.note(&claimed);
            let ids: Vec<String> = claimed.into_iter().map(|job| job.id).collect();
            Ok(jobs.done(&ids).await?)
        };
        claims.try_for_each_concurrent(AT_ONCE, publish).await?;
        let latest = SystemClock.now().plus(LONGEST_SLEEP);
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
