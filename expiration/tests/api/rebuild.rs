//! Rebuilding jobs after the engine has lost them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::bus::Publisher;
use common::clock::{Clock, Timestamp};
use common::events::{ExpirationComplete, Message, OrderCreated, OrderRecord};
use common::jobs::{DelayedJobs, Job, JobsError, Rebuild};
use common::trace::TraceParent;
use engines::sqlite::{SqliteBus, SqliteJobs};
use testing::builders::{order_cancelled, order_completed, order_created};
use testing::soon;
use testing::{TestEnv, message};
use tokio::sync::watch;

use crate::{ExpirationApp, order_due};

const SECOND: Duration = Duration::from_secs(1);
const ONE_HOUR: Duration = Duration::from_secs(3600);
const ONE_DAY: Duration = Duration::from_secs(86_400);

/// Delayed jobs that can be lost, like those in a Redis without persistence.
struct LossyJobs {
    directory: PathBuf,
    /// One engine per loss. The last is current.
    engines: Mutex<Vec<Arc<SqliteJobs>>>,
    lose_during_rebuild: AtomicBool,
    /// Progress waits while this is set.
    hold_rebuild: watch::Sender<bool>,
}

impl LossyJobs {
    fn new(env: &TestEnv) -> Self {
        let jobs = Self {
            directory: env.directory().to_owned(),
            engines: Mutex::default(),
            lose_during_rebuild: AtomicBool::new(false),
            hold_rebuild: watch::Sender::new(false),
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

    async fn begin_rebuild(&self, now: Timestamp, lease: Duration) -> Result<Option<Rebuild>, JobsError> {
        self.current().begin_rebuild(now, lease).await
    }

    async fn record_progress(
        &self,
        rebuild: &Rebuild,
        position: u64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<bool, JobsError> {
        let mut held = self.hold_rebuild.subscribe();
        held.wait_for(|held| !held).await.expect("the sender lives as long as self");
        self.current().record_progress(rebuild, position, now, lease).await
    }

    async fn mark_complete(&self, rebuild: &Rebuild) -> Result<bool, JobsError> {
        if self.lose_during_rebuild.swap(false, Ordering::SeqCst) {
            self.lose();
        }
        self.current().mark_complete(rebuild).await
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
    // The orders end several pages later.
    let long_ago = app.env.clock.now().minus(ONE_HOUR);
    let long_expired = || OrderCreated(OrderRecord { expires_at: long_ago, ..order_due(due).0 });
    let long_expired: Vec<_> = (0..5000).map(|_| message(&long_expired())).collect();
    app.bus.publish(&long_expired).await.unwrap();
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
async fn only_recent_orders_that_can_still_be_open_are_read() {
    let (app, jobs) = start().await;
    // No reservation lasts that long.
    let ancient = OrderCreated(OrderRecord {
        expires_at: app.in_time(SECOND),
        ..order_created(app.env.clock.now().minus(26 * ONE_HOUR)).0
    });
    let long_expired = order_due(app.env.clock.now().minus(Duration::from_secs(301)));
    let longest = OrderCreated(OrderRecord {
        expires_at: app.in_time(ONE_HOUR),
        ..order_created(app.env.clock.now().minus(23 * ONE_HOUR)).0
    });
    let just_expired = order_due(app.env.clock.now().minus(Duration::from_secs(200)));
    app.bus.publish(&[&ancient, &longest, &long_expired, &just_expired].map(message)).await.unwrap();
    jobs.lose();
    rebuilt(&app, &jobs).await;
    assert_eq!(app.expired(1).await, [just_expired.id]);
    app.env.clock.advance(ONE_HOUR);
    assert_eq!(app.expired(1).await, [longest.id]);
    app.idle().await;
}

#[tokio::test]
async fn an_interrupted_rebuild_continues_where_it_stopped() {
    let env = TestEnv::new();
    let jobs = Arc::new(LossyJobs::new(&env));
    let orders: Vec<OrderCreated> = (0..10).map(|_| order_due(env.clock.now().plus(ONE_DAY))).collect();
    let bus = SqliteBus::open(&env.directory().join("bus.db")).unwrap();
    bus.publish(&orders.iter().map(message).collect::<Vec<_>>()).await.unwrap();
    let crashed = jobs.begin_rebuild(env.clock.now(), SECOND).await.unwrap().unwrap();
    jobs.record_progress(&crashed, 7, env.clock.now(), SECOND).await.unwrap();
    drop(bus);

    let app = ExpirationApp::start_with(env, jobs.clone()).await;
    rebuilt(&app, &jobs).await;
    assert_eq!(jobs.count_due(app.in_time(ONE_DAY)).await.unwrap(), 3);
}

#[tokio::test]
async fn orders_expire_on_time_during_a_rebuild() {
    let (app, jobs) = start().await;
    let old = order_due(app.in_time(SECOND));
    app.bus.publish(&[message(&old)]).await.unwrap();
    jobs.hold_rebuild.send_replace(true);
    jobs.lose();
    let due = app.in_time(ONE_DAY);
    soon("a rebuilt job", async {
        while jobs.count_due(due).await.unwrap() == 0 {
            app.env.clock.advance(SECOND);
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(app.expired(1).await, [old.id]);
    let new = app.order_due(app.in_time(SECOND)).await;
    app.env.clock.advance(SECOND);
    assert_eq!(app.expired(1).await, [new.id]);
    assert!(!jobs.is_complete().await.unwrap(), "the rebuild was not held");
    jobs.hold_rebuild.send_replace(false);
    rebuilt(&app, &jobs).await;
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
