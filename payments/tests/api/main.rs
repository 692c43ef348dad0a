//! The payments service: its router, listeners and worker on a database of its own, over the Stripe simulator.

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
use common::events::{OrderCancelled, OrderCompleted, OrderCreated, OrderStatus, OrderedTicket, TicketRef};
use common::ids::{OrderId, PaymentId, TicketId};
use common::money::Money;
use common::store::{Database, Find};
use engines::sqlite::SqliteStore;
use payments::gateway::stripe::StripeGateway;
use payments::gateway::{Authorise, Authorised, GatewayError, PaymentGateway};
use serde_json::{Value, json};
use testing::{Reply, TestApp, TestEnv, TestUser};
use tokio::sync::Semaphore;

/// How long an order can be paid for.
const RESERVATION: Duration = Duration::from_secs(900);

struct PaymentsApp {
    env: TestEnv,
    service: TestApp,
    database: Database,
    stripe: Stripe,
    wire: Arc<Wire>,
    ann: TestUser,
}

impl PaymentsApp {
    async fn start() -> Self {
        let env = TestEnv::new();
        let stripe = Stripe::start().await;
        let wire = Arc::new(Wire::to(&stripe));
        let database = env.database(|file| SqliteStore::open(file, payments::SCHEMAS));
        let service = payments::service(&database, env.sessions.clone(), wire.clone());
        let service = TestApp::new(service, Some(database.clone()));
        let ann = env.user("ann");
        Self { env, service, database, stripe, wire, ann }
    }

    /// Puts another instance of the service in the place of this one.
    fn restart(&mut self) {
        let service = payments::service(&self.database, self.env.sessions.clone(), self.wire.clone());
        self.service = TestApp::new(service, Some(self.database.clone()));
    }

    /// A new order of Ann's over 19.99 dollars, heard of.
    async fn order(&self) -> OrderCreated {
        let order = self.order_on_its_way();
        self.service.deliver(&order).await;
        order
    }

    fn order_on_its_way(&self) -> OrderCreated {
        let now = self.env.clock.now();
        OrderCreated {
            id: OrderId::generate(now),
            version: 0,
            status: OrderStatus::Created,
            user_id: self.ann.id,
            expires_at: now.plus(RESERVATION),
            ticket: OrderedTicket { id: TicketId::generate(now), price: Money::from_cents(1999) },
        }
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

    /// The statuses of the attempts to pay for an order, the newest first.
    async fn statuses(&self, order: &OrderCreated) -> Vec<String> {
        let payments = self.payments(order).await;
        let status = |payment: &Value| payment["status"].as_str().expect("a status").to_owned();
        payments.as_array().expect("an array").iter().map(status).collect()
    }

    /// Waits until the attempts to pay for an order stand so, while the clock goes on.
    async fn wait_for_statuses(&self, order: &OrderCreated, expected: &[&str]) {
        self.wait_for(async || {
            self.env.clock.advance(Duration::from_secs(1));
            self.statuses(order).await == expected
        })
        .await;
    }

    /// Waits until something is so.
    async fn wait_for(&self, is_so: impl AsyncFn() -> bool) {
        let reached = async {
            while !is_so().await {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let outcome = tokio::time::timeout(Duration::from_secs(20), reached).await;
        assert!(outcome.is_ok(), "it did not come so; stored is {:?}", self.stored().await);
    }

    /// Everything that is stored of payments.
    async fn stored(&self) -> Vec<Value> {
        documents(&self.database, payments::SCHEMAS[1]).await
    }
}

fn cancelled(order: &OrderCreated) -> OrderCancelled {
    OrderCancelled { id: order.id, version: 1, ticket: TicketRef { id: order.ticket.id } }
}

fn completed(order: &OrderCreated) -> OrderCompleted {
    OrderCompleted { id: order.id, version: 1, ticket: TicketRef { id: order.ticket.id } }
}

async fn documents(database: &Database, schema: &'static common::store::Schema) -> Vec<Value> {
    let all = Find { equal: Vec::new(), after: None, limit: 1000 };
    let found = database.store().find(schema, all).await.expect("the database");
    found.iter().map(|document| serde_json::from_str(&document.body).expect("JSON")).collect()
}

/// The simulator on a port of its own, and the way to it.
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

    /// What was done to each of its intents whose card was not declined, the newest first.
    async fn intents(&self) -> Vec<Vec<String>> {
        let action = |step: &Value| step["action"].as_str().expect("an action").to_owned();
        let actions = |intent: &Value| intent["steps"].as_array().expect("steps").iter().map(action).collect();
        let good = |intent: &&Value| !intent["card"].as_str().expect("a card").starts_with("charge_declined");
        documents(&self.database, stripe_simulator::SCHEMAS[0]).await.iter().filter(good).map(actions).collect()
    }
}

/// What happens to a request to Stripe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It does not get there.
    NotSent,
    /// It gets there; the answer gets lost.
    AnswerLost,
}

/// The way to Stripe, which can be cut.
struct Wire {
    stripe: Arc<StripeGateway>,
    /// What happens to the next requests, in their order.
    faults: Mutex<VecDeque<Option<Fault>>>,
    /// Answers to authorisations wait for permits here.
    answers: Semaphore,
    /// Gets a permit for each authorisation that Stripe has answered.
    answered: Semaphore,
}

impl Wire {
    fn to(stripe: &Stripe) -> Self {
        Self {
            stripe: stripe.gateway.clone(),
            faults: Mutex::default(),
            answers: Semaphore::new(Semaphore::MAX_PERMITS),
            answered: Semaphore::new(0),
        }
    }

    fn fail(&self, faults: impl IntoIterator<Item = impl Into<Option<Fault>>>) {
        self.faults.lock().expect("no poison").extend(faults.into_iter().map(Into::into));
    }

    /// Makes the answers to authorisations wait until [`let_answers_pass`](Self::let_answers_pass).
    fn hold_answers(&self) {
        self.answers.forget_permits(Semaphore::MAX_PERMITS);
    }

    fn let_answers_pass(&self) {
        self.answers.add_permits(1000);
    }

    /// Waits until Stripe has answered an authorisation.
    async fn authorisation_answered(&self) {
        tokio::time::timeout(Duration::from_secs(20), self.answered.acquire())
            .await
            .expect("an answer in time")
            .expect("an open semaphore")
            .forget();
    }

    async fn send<T>(&self, request: impl Future<Output = Result<T, GatewayError>>) -> Result<T, GatewayError> {
        let fault = self.faults.lock().expect("no poison").pop_front().flatten();
        if fault == Some(Fault::NotSent) {
            return Err(GatewayError::unavailable("not sent"));
        }
        let answer = request.await;
        if fault == Some(Fault::AnswerLost) { Err(GatewayError::unavailable("answer lost")) } else { answer }
    }
}

#[async_trait]
impl PaymentGateway for Wire {
    async fn authorise(&self, request: &Authorise<'_>) -> Result<Authorised, GatewayError> {
        let answer = self.send(self.stripe.authorise(request)).await;
        self.answered.add_permits(1);
        self.answers.acquire().await.expect("an open semaphore").forget();
        answer
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

/// An id whose record, if it existed, would have arrived long ago.
fn unknown_order() -> OrderId {
    OrderId::generate(Timestamp::from_millis(0))
}
