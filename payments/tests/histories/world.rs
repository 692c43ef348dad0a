//! The world of one history: the payments service, Stripe, the orders service, and buyers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use common::clock::Clock;
use common::listener::ListenError;
use common::store::{Database, Store};
use http_body_util::BodyExt;
use payments::stripe::Stripe;
use payments::{WebhookSecrets, operations};
use serde_json::{Value, json};
use testing::builders::order_created;
use testing::{MemoryStore, Reply, TestApp, TestEnv, TestUser, Workers};
use tokio::runtime::Runtime;
use tokio::task::yield_now;
use tower::ServiceExt;

use crate::chance::{Chance, Ideal};
use crate::network::Network;
use crate::orders::{OrderEvent, Orders};

const SECRET: &str = "whsec_history";

pub(crate) struct World {
    pub(crate) chance: Arc<Chance>,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    pub(crate) env: TestEnv,
    pub(crate) buyer: TestUser,
    pub(crate) orders: Orders,
    pub(crate) network: Arc<Network>,
    pub(crate) database: Database,
    store: MemoryStore,
    /// The simulator, with the faults that a history has chosen.
    faulty: Router,
    /// The same simulator without faults.
    simulator: Router,
    pub(crate) stripe: Stripe,
    process: Option<Process>,
}

/// A running instance of the service. Dropping it cuts all its tasks off where they are.
struct Process {
    runtime: Runtime,
    service: TestApp,
    _workers: Workers,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let (chance, log) = (Arc::new(Chance::new(seed)), Arc::<Mutex<Vec<String>>>::default());
        let env = TestEnv::new();
        let clock = Arc::new(env.clock.clone());
        let simulator = Database::new(Arc::new(MemoryStore::new(Arc::new(Ideal))), clock.clone());
        let (faulty, simulator) = (stripe_simulator::router(&simulator), stripe_simulator::router(&simulator));
        let network = Arc::new(Network::new(faulty.clone(), chance.clone(), log.clone()));
        let base = "http://stripe.test".parse().expect("a URL");
        let stripe = Stripe::over(network.clone(), &base, &"sk_test_1".into()).expect("a client");
        let store = MemoryStore::new(chance.clone());
        let database = Database::new(Arc::new(store.clone()), clock);
        let mut buyer = env.user("ann");
        // A history may last for weeks.
        let lifetime = Duration::from_secs(365 * 86_400);
        let session = env.sessions.sign(buyer.id, &buyer.email, lifetime).expect("a session");
        buyer.cookie = format!("session={session}");
        let mut order = order_created(env.clock.now());
        order.user_id = buyer.id;
        let orders = Orders::new(order, chance.is_below(30));
        let mut world = Self {
            chance,
            log,
            env,
            buyer,
            orders,
            network,
            database,
            store,
            faulty,
            simulator,
            stripe,
            process: None,
        };
        world.restart();
        world
    }

    /// Kills the service, wherever it is, and starts another instance on the same database.
    pub(crate) fn restart(&mut self) {
        self.process = None;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let secrets = WebhookSecrets::parse(SECRET);
        let service = payments::service(&self.database, self.env.sessions.clone(), self.stripe.clone(), secrets);
        let mut service = TestApp::new(service, None);
        let workers = runtime.block_on(async { service.start_workers() });
        self.process = Some(Process { runtime, service, _workers: workers });
    }

    /// Lets the tasks of the service go on for a while.
    pub(crate) fn run(&self, yields: u32) {
        self.block_on(async {
            for _ in 0..yields {
                yield_now().await;
            }
        });
    }

    /// Lets the tasks of the service go on until they wait for the clock.
    pub(crate) fn run_until_idle(&self) {
        self.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
    }

    /// The buyer pays. The reply arrives in a later step, unless the service is killed first.
    pub(crate) fn pay(&mut self, token: &str) {
        let body = json!({"token": token, "orderId": self.orders.order.id});
        let (buyer, log) = (self.buyer.clone(), self.log.clone());
        let process = self.process.as_mut().expect("a process");
        let request = process.service.post("/api/payments").by(&buyer).json(&body);
        let token = token.to_owned();
        process.runtime.spawn(async move {
            let reply = request.send().await;
            log.lock().expect("no poison").push(format!("    buyer with {token}: {} {}", reply.status, reply.body));
        });
    }

    /// The buyer pays and waits for the reply.
    pub(crate) fn pay_and_wait(&mut self, token: &str) -> Reply {
        let body = json!({"token": token, "orderId": self.orders.order.id});
        let process = self.process.as_ref().expect("a process");
        let request = process.service.post("/api/payments").by(&self.buyer).json(&body);
        let replied = process.runtime.spawn(request.send());
        self.run_until(|_| replied.is_finished());
        let reply = self.block_on(replied).expect("a reply");
        self.note(&format!("    buyer with {token}: {} {}", reply.status, reply.body));
        reply
    }

    /// Lets the tasks of the service go on until the condition holds: first step by step, then second by second.
    pub(crate) fn run_until(&self, condition: impl Fn(&Self) -> bool) {
        for step in 0..1000 {
            if condition(self) {
                return;
            }
            if step < 500 {
                self.run(1);
            } else {
                self.env.clock.advance(Duration::from_secs(1));
                self.block_on(async { tokio::time::sleep(Duration::from_secs(1)).await });
            }
        }
        panic!("it does not happen: {:#?}", self.payments());
    }

    /// Delivers one event of the orders service. It is delivered again later, unless it is acknowledged and that arrives.
    pub(crate) fn deliver_order_event(&mut self) -> bool {
        if self.orders.events.is_empty() {
            return false;
        }
        let index = self.chance.below(u32::try_from(self.orders.events.len()).expect("few events")) as usize;
        let event = self.orders.events[index].clone();
        let service = &self.process.as_ref().expect("a process").service;
        let delivered = self.block_on(async {
            match &event {
                OrderEvent::Created(event) => service.deliver_once(event).await,
                OrderEvent::Updated(event) => service.deliver_once(event).await,
                OrderEvent::Cancelled(event) => service.deliver_once(event).await,
                OrderEvent::Completed(event) => service.deliver_once(event).await,
            }
        });
        self.note(&format!(
            "  delivered {event:?}: {}",
            delivered.as_ref().map_or_else(ToString::to_string, |()| "ok".into())
        ));
        match delivered {
            Ok(()) if !self.chance.fails() => drop(self.orders.events.remove(index)),
            Ok(()) | Err(ListenError::Retry(_) | ListenError::RetryAfter(..)) => {}
            Err(error @ ListenError::Reject(_)) => panic!("{event:?} became a dead letter: {error:?}"),
        }
        true
    }

    /// Publishes one event of the payments service. It is published again later, unless that is acknowledged.
    pub(crate) fn relay(&mut self) -> bool {
        let unpublished = self.block_on(self.store.unpublished(10)).expect("the outbox");
        let Some(event) = unpublished.first() else { return false };
        let message = &event.message;
        let payload: Value = serde_json::from_str(&message.payload).expect("JSON");
        self.note(&format!("  relayed {} {payload}", message.subject));
        self.orders.handle(message.subject, &payload);
        if !self.chance.fails() {
            self.block_on(self.store.published(std::slice::from_ref(event))).expect("the outbox");
        }
        true
    }

    /// Sends one of Stripe's webhooks, perhaps an old one, perhaps again.
    pub(crate) fn send_any_webhook(&self) {
        let events = self.events();
        if !events.is_empty() {
            let count = u32::try_from(events.len()).expect("few events");
            self.send_webhook(&events[self.chance.below(count) as usize]);
        }
    }

    /// The events of Stripe, newest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        let events = self.simulator("GET", "/v1/events?limit=100", "");
        events["data"].as_array().cloned().unwrap_or_default()
    }

    pub(crate) fn send_webhook(&self, event: &Value) {
        let body = event.to_string();
        let signature = stripe_simulator::sign(SECRET, self.env.clock.now(), &body);
        let service = &self.process.as_ref().expect("a process").service;
        let request = service.post("/api/payments/webhook").header("stripe-signature", &signature).body(body);
        let reply = self.block_on(request.send());
        self.note(&format!("  webhook {}: {}", event["type"], reply.status));
    }

    /// The intents at Stripe, newest first.
    pub(crate) fn intents(&self) -> Vec<Value> {
        let list = self.simulator("GET", "/v1/payment_intents?limit=100&expand[]=data.latest_charge", "");
        list["data"].as_array().expect("a list").clone()
    }

    /// Someone does something to an intent, without this service.
    pub(crate) fn at_stripe(&self, action: &str) {
        let intents = self.intents();
        if intents.is_empty() {
            return;
        }
        let intent = &intents[self.chance.below(u32::try_from(intents.len()).expect("few intents")) as usize];
        let id = intent["id"].as_str().expect("an id");
        let reply = self.simulator("POST", &format!("/_simulator/payment_intents/{id}/{action}"), "");
        self.network.note_change();
        self.note(&format!("  {action} of {id} at Stripe: {}", reply["status"]));
    }

    /// The staff refunds the order.
    pub(crate) fn refund(&self) {
        let refund = self.block_on(operations::refund(&self.database, self.orders.order.id));
        self.note(&format!("the staff refunds: {refund:?}"));
    }

    /// Makes Stripe fail, or ends that.
    pub(crate) fn set_faults_at_stripe(&self, method: &str, body: &str) {
        self.call(&self.faulty, method, "/_simulator/faults", body);
    }

    fn simulator(&self, method: &str, path: &str, body: &str) -> Value {
        self.call(&self.simulator, method, path, body)
    }

    fn call(&self, simulator: &Router, method: &str, path: &str, body: &str) -> Value {
        let mut request = Request::builder().method(method).uri(path).header("authorization", "Bearer sk_test_1");
        if body.starts_with('{') {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(Body::from(body.to_owned())).expect("a request");
        self.block_on(async {
            let Ok(response) = simulator.clone().oneshot(request).await;
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON") }
        })
    }

    /// The stored payments, newest first.
    pub(crate) fn payments(&self) -> Vec<Value> {
        let all = common::store::Find { equal: Vec::new(), after: None, limit: 100 };
        let found = self.block_on(self.store.find(payments::SCHEMAS[1], all)).expect("the store");
        found.iter().map(|document| serde_json::from_str(&document.body).expect("JSON")).collect()
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.process.as_ref().expect("a process").runtime.block_on(future)
    }

    pub(crate) fn note(&self, line: &str) {
        self.log.lock().expect("no poison").push(line.to_owned());
    }
}
