//! Tests of the payments service on an embedded store and the Stripe simulator.

mod action;
mod claims;
mod create;
mod failures;
mod line;
mod list;
mod operations;
mod order_cancelled;
mod order_completed;
mod order_created;
mod republish;
mod responses;
mod settlement;
mod stripe_mock;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use common::clock::{Clock, Timestamp};
use common::events::OrderCreated;
use common::ids::OrderId;
use common::store::{Database, Find};
use engines::sqlite::SqliteStore;
use payments::WebhookSecrets;
use payments::stripe::Stripe;
use serde_json::{Value, json};
use testing::builders::{order_completed, order_created};
use testing::{Reply, TestApp, TestEnv, TestUser, Workers};

use line::Line;

const WEBHOOK_SECRETS: &str = "whsec_old,whsec_new";

struct PaymentsApp {
    env: TestEnv,
    service: TestApp,
    database: Database,
    /// The connection to Stripe, which can fail.
    line: Arc<Line>,
    stripe: Stripe,
    ann: TestUser,
    workers: Option<Workers>,
    _stripe_env: TestEnv,
}

impl PaymentsApp {
    /// The service without its worker.
    fn new() -> Self {
        let (env, stripe_env) = (TestEnv::new(), TestEnv::new());
        let at_stripe = stripe_env.database(|file| SqliteStore::open(file, stripe_simulator::SCHEMAS)).store().clone();
        let line = Arc::new(Line::new(&Database::new(at_stripe, Arc::new(env.clock.clone()))));
        let base = "http://stripe.test/".parse().expect("a URL");
        let stripe = Stripe::over(line.clone(), &base, &"sk_test_1".into()).expect("a client");
        let database = env.database(|file| SqliteStore::open(file, payments::SCHEMAS));
        let service = service(&database, &env, &stripe);
        let mut ann = env.user("ann");
        // Some tests last for days.
        let session = env.sessions.sign(ann.id, &ann.email, Duration::from_secs(365 * 86_400)).expect("a session");
        ann.cookie = format!("session={session}");
        Self { env, service, database, line, stripe, ann, workers: None, _stripe_env: stripe_env }
    }

    /// The service with its worker.
    fn start() -> Self {
        let mut app = Self::new();
        app.start_worker();
        app
    }

    fn start_worker(&mut self) {
        self.workers = Some(self.service.start_workers());
    }

    /// Starts a second replica of the service.
    fn start_replica(&self) -> (TestApp, Workers) {
        let mut replica = service(&self.database, &self.env, &self.stripe);
        let workers = replica.start_workers();
        (replica, workers)
    }

    /// Replaces the service with a new instance on the same database. The old worker is cut off.
    fn restart(&mut self) {
        self.workers = None;
        self.service = service(&self.database, &self.env, &self.stripe);
        self.start_worker();
    }

    /// Delivers a new order of Ann's for 19.99 dollars.
    async fn order(&self) -> OrderCreated {
        let order = self.undelivered_order();
        self.service.deliver(&order).await;
        order
    }

    fn undelivered_order(&self) -> OrderCreated {
        let mut order = order_created(self.env.clock.now());
        order.user_id = self.ann.id;
        order
    }

    async fn pay_with(&self, order: &OrderCreated, token: &str) -> Reply {
        let body = json!({"token": token, "orderId": order.id});
        self.service.post("/api/payments").by(&self.ann).json(&body).send().await
    }

    async fn pay(&self, order: &OrderCreated) -> Reply {
        self.pay_with(order, "tok_visa").await
    }

    /// An order that is complete and whose payment is captured.
    async fn captured_order(&self) -> OrderCreated {
        let order = self.order().await;
        self.pay(&order).await.expect(201);
        self.service.deliver(&order_completed(&order)).await;
        self.wait_for_statuses(&order, &["captured"]).await;
        order
    }

    async fn payments(&self, order: &OrderCreated) -> Value {
        self.service.get(&format!("/api/payments?orderId={}", order.id)).by(&self.ann).send().await.expect(200)
    }

    /// The statuses of an order's payments, newest first.
    async fn statuses(&self, order: &OrderCreated) -> Vec<String> {
        let payments = self.payments(order).await;
        let status = |payment: &Value| payment["status"].as_str().expect("a status").to_owned();
        payments.as_array().expect("an array").iter().map(status).collect()
    }

    /// Advances the clock until an order's payments have these statuses.
    async fn wait_for_statuses(&self, order: &OrderCreated, expected: &[&str]) {
        self.wait_for(async || {
            self.env.clock.advance(Duration::from_millis(500));
            self.statuses(order).await == expected
        })
        .await;
    }

    /// Polls until the condition holds.
    async fn wait_for(&self, condition: impl AsyncFn() -> bool) {
        let reached = async {
            while !condition().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let result = tokio::time::timeout(Duration::from_secs(20), reached).await;
        assert!(result.is_ok(), "timed out; the stored payments are {:?}", self.stored().await);
    }

    /// The stored payments, newest first.
    async fn stored(&self) -> Vec<Value> {
        let all = Find { equal: Vec::new(), after: None, limit: 1000 };
        let found = self.database.store().find(payments::SCHEMAS[1], all).await.expect("the database");
        found.iter().map(|document| serde_json::from_str(&document.body).expect("JSON")).collect()
    }
}

fn service(database: &Database, env: &TestEnv, stripe: &Stripe) -> TestApp {
    let secrets = WebhookSecrets::parse(WEBHOOK_SECRETS);
    let service = payments::service(database, env.sessions.clone(), stripe.clone(), secrets);
    TestApp::new(service, Some(database.clone()))
}

/// The id of an order that does not exist. It is too old to be waited for.
fn unknown_order() -> OrderId {
    OrderId::generate(Timestamp::from_millis(0))
}
