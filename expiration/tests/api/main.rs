//! The expiration service on embedded engines, its clock moved by hand.

mod listeners;
#[cfg(feature = "spread")]
mod rebuild;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, Durable, Subscription, Verdict};
use common::clock::{Clock, Timestamp};
use common::events::{
    ExpirationComplete, OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderedTicket, Subject, TicketRef,
};
use common::ids::{OrderId, TicketId, UserId};
use common::jobs::DelayedJobs;
use common::money::Money;
use engines::sqlite::SqliteBus;
use engines::sqlite::SqliteJobs;
use testing::contract::soon;
use testing::{InterruptibleBus, TestApp, TestEnv, Workers};

const ORDERS: Durable = Durable { name: "orders_expiration-complete", subject: Subject::ExpirationComplete };

/// The service with its workers at work, and what the orders service would hear of it.
struct Expiration {
    env: TestEnv,
    bus: Arc<InterruptibleBus>,
    jobs: Arc<dyn DelayedJobs>,
    service: TestApp,
    workers: Workers,
    orders: Box<dyn Subscription>,
}

impl Expiration {
    async fn start() -> Self {
        Self::start_on(TestEnv::new()).await
    }

    async fn start_on(env: TestEnv) -> Self {
        let open = |name| env.directory().join(name);
        let bus = SqliteBus::open(&open("bus.db")).expect("a bus");
        let bus = Arc::new(InterruptibleBus::new(Arc::new(bus)));
        let jobs: Arc<dyn DelayedJobs> = Arc::new(SqliteJobs::open(&open("jobs.db")).expect("jobs"));
        let service = expiration::service(jobs.clone(), bus.clone(), Arc::new(env.clock.clone()));
        let mut service = TestApp::new(service, None);
        let orders = bus.subscribe(ORDERS).await.expect("a subscription");
        let workers = service.start_workers();
        Self { env, bus, jobs, service, workers, orders }
    }

    /// Stops it wherever it is; time goes on, and it starts again.
    async fn crash_and_restart_after(self, pause: Duration) -> Self {
        let Self { env, bus, jobs, service, workers, orders } = self;
        drop((workers, service, orders, jobs, bus));
        env.clock.advance(pause);
        Self::start_on(env).await
    }

    fn in_time(&self, time: Duration) -> Timestamp {
        self.env.clock.now().plus(time)
    }

    /// Announces a new order, twice.
    async fn order_created(&self, expires_at: Timestamp) -> OrderId {
        let event = order_created(expires_at);
        self.service.deliver(&event).await;
        event.id
    }

    /// Waits for so many expirations, and returns the orders in the order of their arrival.
    async fn expired(&self, many: usize) -> Vec<OrderId> {
        let mut expired = Vec::new();
        while expired.len() < many {
            for delivery in soon("expirations", self.orders.next(500)).await.expect("deliveries") {
                self.orders.settle(&delivery, Verdict::Ack).await.expect("settled");
                let event: ExpirationComplete = serde_json::from_str(&delivery.message.payload).expect("an event");
                expired.push(event.order_id);
            }
        }
        expired
    }

    /// Waits until nothing is left to do.
    async fn idle(&self) {
        soon("an end to the jobs", async {
            while self.jobs.next_due().await.expect("the jobs").is_some() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

fn order_created(expires_at: Timestamp) -> OrderCreated {
    OrderCreated {
        id: OrderId::generate(expires_at),
        version: 0,
        status: OrderStatus::Created,
        user_id: UserId::generate(expires_at),
        expires_at,
        ticket: OrderedTicket { id: TicketId::generate(expires_at), price: Money::from_cents(2000) },
    }
}

fn order_cancelled(id: OrderId) -> OrderCancelled {
    OrderCancelled { id, version: 1, ticket: TicketRef { id: TicketId::generate(Timestamp::from_millis(0)) } }
}

fn order_completed(id: OrderId) -> OrderCompleted {
    OrderCompleted { id, version: 1, ticket: TicketRef { id: TicketId::generate(Timestamp::from_millis(0)) } }
}

/// How often each is there.
fn counted(orders: impl IntoIterator<Item = OrderId>) -> BTreeMap<OrderId, usize> {
    let mut counted = BTreeMap::new();
    for order in orders {
        *counted.entry(order).or_default() += 1;
    }
    counted
}
