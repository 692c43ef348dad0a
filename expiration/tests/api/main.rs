//! Tests of the expiration service on embedded engines with a manual clock.

mod listeners;
mod rebuild;
#[cfg(feature = "spread")]
mod redis;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, Durable, Subscription, Verdict};
use common::clock::{Clock, Timestamp};
use common::events::{ExpirationComplete, OrderCreated, Subject};
use common::ids::OrderId;
use common::jobs::DelayedJobs;
use engines::sqlite::{SqliteBus, SqliteJobs};
use testing::builders::order_created;
use testing::soon;
use testing::{InterruptibleBus, TestApp, TestEnv, Workers};

const ORDERS: Durable = Durable { name: "orders_expiration-complete", subject: Subject::ExpirationComplete };

/// The service with running workers, and a reader in place of the orders service.
struct ExpirationApp {
    env: TestEnv,
    bus: Arc<InterruptibleBus>,
    jobs: Arc<dyn DelayedJobs>,
    service: TestApp,
    workers: Workers,
    orders: Box<dyn Subscription>,
}

impl ExpirationApp {
    async fn start() -> Self {
        Self::start_on(TestEnv::new()).await
    }

    async fn start_on(env: TestEnv) -> Self {
        let jobs = SqliteJobs::open(&env.directory().join("jobs.db")).expect("delayed jobs");
        Self::start_with(env, Arc::new(jobs)).await
    }

    async fn start_with(env: TestEnv, jobs: Arc<dyn DelayedJobs>) -> Self {
        let bus = SqliteBus::open(&env.directory().join("bus.db")).expect("a bus");
        let bus = Arc::new(InterruptibleBus::new(Arc::new(bus)));
        let service = expiration::service(jobs.clone(), bus.clone(), Arc::new(env.clock.clone()));
        let mut service = TestApp::new(service, None);
        let orders = bus.subscribe(ORDERS).await.expect("a subscription");
        let workers = service.start_workers();
        Self { env, bus, jobs, service, workers, orders }
    }

    /// Aborts the workers wherever they are, advances the clock and starts the service again.
    async fn crash_and_restart_after(self, downtime: Duration) -> Self {
        let Self { env, bus, jobs, service, workers, orders } = self;
        drop((workers, service, orders, jobs, bus));
        env.clock.advance(downtime);
        Self::start_on(env).await
    }

    /// The time `time` from now.
    fn in_time(&self, time: Duration) -> Timestamp {
        self.env.clock.now().plus(time)
    }

    /// Delivers a new order twice.
    async fn order_due(&self, expires_at: Timestamp) -> OrderCreated {
        let order = order_due(expires_at);
        self.service.deliver(&order).await;
        order
    }

    /// Waits for `count` expirations and returns their orders.
    async fn expired(&self, count: usize) -> Vec<OrderId> {
        let mut expired = Vec::new();
        while expired.len() < count {
            for delivery in soon("expirations", self.orders.next(500)).await.expect("deliveries") {
                self.orders.settle(&delivery, Verdict::Ack).await.expect("settled");
                let event: ExpirationComplete = serde_json::from_str(&delivery.message.payload).expect("an event");
                expired.push(event.order_id);
            }
        }
        expired
    }

    /// Waits until no jobs are left.
    async fn idle(&self) {
        soon("the end of all jobs", async {
            while self.jobs.next_due().await.expect("delayed jobs").is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn order_due(expires_at: Timestamp) -> OrderCreated {
    let mut order = order_created(expires_at);
    order.expires_at = expires_at;
    order
}

/// Counts how often each order occurs.
fn counts(orders: impl IntoIterator<Item = OrderId>) -> BTreeMap<OrderId, usize> {
    let mut counts = BTreeMap::new();
    for order in orders {
        *counts.entry(order).or_default() += 1;
    }
    counts
}
