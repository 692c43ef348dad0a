//! Tests of the payments service on an embedded store and the Stripe simulator.

mod create;
mod gateway;
mod interleaving;
mod list;
mod order_cancelled;
mod order_completed;
mod order_created;
mod settlement;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use common::clock::{Clock, Timestamp};
use common::events::OrderCreated;
use common::ids::{OrderId, PaymentId};
use common::store::{Database, Find};
use engines::sqlite::SqliteStore;
use payments::gateway::stripe::StripeGateway;
use payments::gateway::{Authorise, Authorised, GatewayError, PaymentGateway};
use serde_json::{Value, json};
use testing::builders::order_created;
use testing::{Reply, TestApp, TestEnv, TestUser};
use tokio::sync::Semaphore;

struct PaymentsApp {
    env: TestEnv,
    service: TestApp,
    database: Database,
    stripe: Stripe,
    gateway: Arc<FaultyGateway>,
    ann: TestUser,
}

impl PaymentsApp {
    async fn start() -> Self {
        let env = TestEnv::new();
        let stripe = Stripe::start().await;
        let gateway = Arc::new(FaultyGateway::new(&stripe));
        let database = env.database(|file| SqliteStore::open(file, payments::SCHEMAS));
        let service = payments::service(&database, env.sessions.clone(), gateway.clone());
        let service = TestApp::new(service, Some(database.clone()));
        let ann = env.user("ann");
        Self { env, service, database, stripe, gateway, ann }
    }

    /// Replaces the service with a new instance on the same database. Requests to the old one continue.
    fn restart(&mut self) {
        let service = payments::service(&self.database, self.env.sessions.clone(), self.gateway.clone());
        self.service = TestApp::new(service, Some(self.database.clone()));
    }

    /// Delivers a new order of Ann's for 19.99 dollars.
    async fn order(&self) -> OrderCreated {
        let order = self.undelivered_order();
        self.service.deliver(&order).await;
        order
    }

    fn undelivered_order(&self) -> OrderCreated {
        OrderCreated { user_id: self.ann.id, ..order_created(self.env.clock.now()) }
    }

    async fn pay_with(&self, order: &OrderCreated, token: &str) -> Reply {
        let body = json!({"token": token, "orderId": order.id});
        self.service.post("/api/payments").by(&self.ann).json(&body).send().await
    }

    async fn pay(&self, order: &OrderCreated) -> Reply {
        self.pay_with(order, "tok_visa").await
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
            self.env.clock.advance(Duration::from_secs(1));
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
        documents(&self.database, payments::SCHEMAS[1]).await
    }
}

async fn documents(database: &Database, schema: &'static common::store::Schema) -> Vec<Value> {
    let all = Find { equal: Vec::new(), after: None, limit: 1000 };
    let found = database.store().find(schema, all).await.expect("the database");
    found.iter().map(|document| serde_json::from_str(&document.body).expect("JSON")).collect()
}

/// A running Stripe simulator and a client for it.
struct Stripe {
    database: Database,
    gateway: Arc<StripeGateway>,
    _env: TestEnv,
}

impl Stripe {
    async fn start() -> Self {
        let env = TestEnv::new();
        let database = env.database(|file| SqliteStore::open(file, stripe_simulator::SCHEMAS));
        let address = stripe_simulator::start(&database, ([127, 0, 0, 1], 0).into()).await.expect("a port");
        let base = format!("http://{address}/").parse().expect("a URL");
        let gateway = Arc::new(StripeGateway::new(&base, &"sk_test_1".into()).expect("a gateway"));
        Self { database, gateway, _env: env }
    }

    /// The actions on each intent whose card was not declined, newest first.
    async fn intents(&self) -> Vec<Vec<String>> {
        let action = |step: &Value| step["action"].as_str().expect("an action").to_owned();
        let actions = |intent: &Value| intent["steps"].as_array().expect("steps").iter().map(action).collect();
        let accepted = |intent: &&Value| !intent["card"].as_str().expect("a card").starts_with("charge_declined");
        documents(&self.database, stripe_simulator::SCHEMAS[0]).await.iter().filter(accepted).map(actions).collect()
    }
}

/// A failure of a request to Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The request does not arrive.
    NotSent,
    /// The request arrives and the response is lost.
    ResponseLost,
}

/// A gateway to Stripe whose requests can fail.
struct FaultyGateway {
    stripe: Arc<StripeGateway>,
    /// The faults of the next requests, in order.
    faults: Mutex<VecDeque<Option<Fault>>>,
    /// Each response to an authorisation takes a permit.
    responses: Semaphore,
    /// Receives a permit for each authorisation that Stripe has responded to.
    responded: Semaphore,
}

impl FaultyGateway {
    fn new(stripe: &Stripe) -> Self {
        Self {
            stripe: stripe.gateway.clone(),
            faults: Mutex::default(),
            responses: Semaphore::new(Semaphore::MAX_PERMITS),
            responded: Semaphore::new(0),
        }
    }

    /// Makes the next requests fail. `None` lets one succeed.
    fn fail(&self, faults: impl IntoIterator<Item = impl Into<Option<Fault>>>) {
        self.faults.lock().expect("no poison").extend(faults.into_iter().map(Into::into));
    }

    /// Delays responses to authorisations until [`release_responses`](Self::release_responses).
    fn hold_responses(&self) {
        self.responses.forget_permits(Semaphore::MAX_PERMITS);
    }

    fn release_responses(&self) {
        self.responses.add_permits(1000);
    }

    /// Waits until Stripe has responded to an authorisation.
    async fn authorisation_responded(&self) {
        tokio::time::timeout(Duration::from_secs(20), self.responded.acquire())
            .await
            .expect("a response in time")
            .expect("an open semaphore")
            .forget();
    }

    async fn send<T>(&self, request: impl Future<Output = Result<T, GatewayError>>) -> Result<T, GatewayError> {
        let fault = self.faults.lock().expect("no poison").pop_front().flatten();
        if fault == Some(Fault::NotSent) {
            return Err(GatewayError::unavailable("not sent"));
        }
        let response = request.await;
        if fault == Some(Fault::ResponseLost) { Err(GatewayError::unavailable("response lost")) } else { response }
    }
}

#[async_trait]
impl PaymentGateway for FaultyGateway {
    async fn authorise(&self, request: &Authorise<'_>) -> Result<Authorised, GatewayError> {
        let response = self.send(self.stripe.authorise(request)).await;
        self.responded.add_permits(1);
        self.responses.acquire().await.expect("an open semaphore").forget();
        response
    }

    async fn capture(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        self.send(self.stripe.capture(payment, stripe_id)).await
    }

    async fn void(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        self.send(self.stripe.void(payment, stripe_id)).await
    }

    async fn refund(&self, payment: PaymentId, stripe_id: &str) -> Result<(), GatewayError> {
        self.send(self.stripe.refund(payment, stripe_id)).await
    }
}

/// The id of an order that does not exist. It is too old to be waited for.
fn unknown_order() -> OrderId {
    OrderId::generate(Timestamp::from_millis(0))
}
