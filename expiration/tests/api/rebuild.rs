//! Rebuilding jobs after the engine has lost them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::bus::Publisher;
use common::clock::Timestamp;
use common::events::{ExpirationComplete, Message};
use common::jobs::{DelayedJobs, Job, JobsError};
use common::trace::TraceParent;
use engines::sqlite::SqliteJobs;
use testing::builders::{order_cancelled, order_completed};
use testing::soon;
use testing::{TestEnv, message};

use crate::{ExpirationApp, order_due};

const SECOND: Duration = Duration::from_secs(1);
const ONE_DAY: Duration = Duration::from_secs(86_400);

/// Delayed jobs that can be lost, like those in a Redis without persistence.
struct LossyJobs {
    directory: PathBuf,
    /// One engine per loss. The last is current.
    engines: Mutex<Vec<Arc<SqliteJobs>>>,
    lose_during_rebuild: AtomicBool,
}

impl LossyJobs {
    fn new(env: &TestEnv) -> Self {
        let jobs = Self {
            directory: env.directory().to_owned(),
            engines: Mutex::default(),
            lose_during_rebuild: AtomicBool::new(false),
        };
        jobs.lose();
        jobs
    }

    fn lose(&self) {
        let mut engines = self.engines.lock().expect("no poison");
        let file = self.directory.join(format!("jobs-{}.db", engines.len()));
        engines.push(Arc::new(SqliteJobs::open(&file).expect("delayed jobs")));
    }

    /// The number of the current engine, counted from 1.
    fn generation(&self) -> usize {
        self.engines.lock().expect("no poison").len()
    }

    fn current(&self) -> Arc<SqliteJobs> {
        self.engines.lock().expect("no poison").last().expect("an engine").clone()
    }
}

#[async_trait]
impl DelayedJobs for LossyJobs {
    async fn schedule(&self, job: &Job) -> Result<(), JobsError> {
        self.current().schedule(job).await
    }

    async fn cancel(&self, id: &str) -> Result<(), JobsError> {
        self.current().cancel(id).await
    }

    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Job>, JobsError> {
        self.current().claim(now, limit, lease).await
    }

    async fn done(&self, ids: &[String]) -> Result<(), JobsError> {
        self.current().done(ids).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JobsError> {
        self.current().next_due().await
    }

    async fn count_due(&self, now: Timestamp) -> Result<u64, JobsError> {
        self.current().count_due(now).await
    }

    async fn is_complete(&self) -> Result<bool, JobsError> {
        self.current().is_complete().await
    }

    async fn begin_rebuild(&self) -> Result<String, JobsError> {
        Ok(self.generation().to_string())
    }

    async fn mark_complete(&self, rebuild: &str) -> Result<bool, JobsError> {
        if self.lose_during_rebuild.swap(false, Ordering::SeqCst) {
            self.lose();
        }
        Ok(rebuild == self.generation().to_string() && self.current().mark_complete(rebuild).await?)
    }

    async fn ping(&self) -> Result<(), JobsError> {
        self.current().ping().await
    }
}

async fn start() -> (ExpirationApp, Arc<LossyJobs>) {
    let env = TestEnv::new();
    let jobs = Arc::new(LossyJobs::new(&env));
    let app = ExpirationApp::start_with(env, jobs.clone()).await;
    rebuilt(&app, &jobs).await;
    (app, jobs)
}

/// Advances the clock until the jobs are complete.
async fn rebuilt(app: &ExpirationApp, jobs: &LossyJobs) {
    soon("a rebuild", async {
        while !jobs.is_complete().await.expect("delayed jobs") {
            app.env.clock.advance(SECOND);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn lost_jobs_of_open_orders_are_rebuilt_from_history() {
    let (app, jobs) = start().await;
    let due = app.in_time(ONE_DAY);
    let (open, cancelled, completed) = (order_due(due), order_due(due), order_due(due));
    let trace = TraceParent::generate();
    let invalid = Message { id: "invalid".into(), payload: "{}".into(), ..message(&open) };
    let created = [&open, &cancelled, &completed].map(message);
    let created = created.map(|message| Message { traceparent: Some(trace.clone()), ..message });
    app.bus.publish(&created).await.unwrap();
    let ended = [invalid, message(&order_cancelled(&cancelled)), message(&order_completed(&completed))];
    app.bus.publish(&ended).await.unwrap();

    jobs.lose();
    assert_eq!(jobs.count_due(due).await.unwrap(), 0);
    rebuilt(&app, &jobs).await;
    assert_eq!(jobs.count_due(due).await.unwrap(), 1);

    app.env.clock.advance(ONE_DAY);
    let deliveries = soon("the expiration", app.orders.next(500)).await.unwrap();
    let expected = Message { traceparent: Some(trace), ..message(&ExpirationComplete { order_id: open.id }) };
    assert_eq!(deliveries.into_iter().map(|delivery| delivery.message).collect::<Vec<_>>(), [expected]);
}

#[tokio::test]
async fn a_loss_during_a_rebuild_starts_it_over() {
    let (app, jobs) = start().await;
    let due = app.in_time(ONE_DAY);
    app.bus.publish(&[message(&order_due(due))]).await.unwrap();
    jobs.lose_during_rebuild.store(true, Ordering::SeqCst);
    jobs.lose();
    rebuilt(&app, &jobs).await;
    assert_eq!((jobs.generation(), jobs.count_due(due).await.unwrap()), (3, 1));
}
