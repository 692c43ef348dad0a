//! A service driven in memory.

use std::num::NonZeroU32;
use std::sync::Mutex;

use async_trait::async_trait;
use axum::Router;
use axum::http::Method;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use common::bus::{BusError, Publisher, Receipt};
use common::clock::Timestamp;
use common::events::{Event, Message, Subject};
use common::http::with_middleware;
use common::listener::{ListenError, RegisteredListener};
use common::records::Records;
use common::republish::Republisher;
use common::service::{Service, Worker};
use common::store::Database;

use crate::builders::message;
use crate::request::TestRequest;

/// A service whose router, listeners and workers are driven by a test.
///
/// Nothing listens on a port, and nothing runs in the background until [`start_workers`](Self::start_workers).
pub struct TestApp {
    routes: Router,
    listeners: Vec<RegisteredListener>,
    /// A worker is not `Sync`; the mutex lets threads share the app.
    workers: Mutex<Vec<Worker>>,
    database: Option<Database>,
}

impl TestApp {
    /// Takes a service under test. [`published`](Self::published) reads the outbox of `database`.
    pub fn new(service: Service, database: Option<Database>) -> Self {
        let Service { routes, listeners, workers, .. } = service;
        Self { routes: with_middleware(routes), listeners, workers: workers.into(), database }
    }

    /// Starts the service's workers. A second call starts none.
    pub fn start_workers(&mut self) -> Workers {
        let stop = CancellationToken::new();
        let workers = std::mem::take(self.workers.get_mut().expect("no poison"));
        let tasks = workers.into_iter().map(|worker| worker(stop.clone())).collect();
        Workers { stop, tasks }
    }

    /// Begins a request.
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        TestRequest::new(self.routes.clone(), method, path)
    }

    /// Begins a `GET`.
    pub fn get(&self, path: &str) -> TestRequest {
        self.request(Method::GET, path)
    }

    /// Begins a `POST`.
    pub fn post(&self, path: &str) -> TestRequest {
        self.request(Method::POST, path)
    }

    /// Begins a `PUT`.
    pub fn put(&self, path: &str) -> TestRequest {
        self.request(Method::PUT, path)
    }

    /// Begins a `DELETE`.
    pub fn delete(&self, path: &str) -> TestRequest {
        self.request(Method::DELETE, path)
    }

    /// Delivers an event to the listener of its subject.
    pub async fn deliver_once<E: Event>(&self, event: &E) -> Result<(), ListenError> {
        self.deliver_payload(E::SUBJECT, &message(event).payload).await
    }

    /// Delivers an event twice, because the bus may, and asserts that both deliveries succeed.
    pub async fn deliver<E: Event>(&self, event: &E) {
        for _ in 0..2 {
            self.deliver_once(event).await.expect("the event is handled");
        }
    }

    /// Delivers any payload to the listener of a subject.
    pub async fn deliver_payload(&self, subject: Subject, payload: &str) -> Result<(), ListenError> {
        let listener = self.listeners.iter().find(|listener| listener.durable().subject == subject);
        listener.expect("a listener of this subject").call(payload).await
    }

    /// Empties the outbox and returns the subjects and payloads that the relay would publish, in their order.
    pub async fn published(&self) -> Vec<(Subject, Value)> {
        let store = self.database.as_ref().expect("a database").store();
        let events = store.unpublished(1000).await.expect("the outbox").events;
        store.published(&events).await.expect("the outbox");
        events.iter().map(|event| subject_and_payload(&event.message)).collect()
    }

    /// Announces records written at `since` or later again, and returns the subjects and payloads, newest record first.
    ///
    /// The message ids differ from those of the first announcement, because otherwise the bus would drop the messages.
    pub async fn republished(&self, records: Records, since: Timestamp) -> Vec<(Subject, Value)> {
        let (database, publisher) = (self.database.as_ref().expect("a database"), Collector::default());
        let (store, epoch) = (&**database.store(), database.clock().now());
        let republisher = Republisher { store, publisher: &publisher, records, epoch, rate: NonZeroU32::MAX };
        republisher.since(since, |_| {}).await.expect("republished");
        let messages = publisher.0.into_inner().expect("no poison");
        let suffix = format!("/{}", epoch.as_millis());
        assert!(messages.iter().all(|message| message.id.ends_with(&suffix)), "{messages:?}");
        messages.iter().map(subject_and_payload).collect()
    }
}

fn subject_and_payload(message: &Message) -> (Subject, Value) {
    (message.subject, serde_json::from_str(&message.payload).expect("JSON"))
}

/// Keeps what is published.
#[derive(Default)]
struct Collector(Mutex<Vec<Message>>);

#[async_trait]
impl Publisher for Collector {
    async fn publish(&self, messages: &[Message]) -> Result<Option<Receipt>, BusError> {
        let mut published = self.0.lock().expect("no poison");
        published.extend_from_slice(messages);
        let position = published.len() as u64;
        Ok(messages.last().map(|last| Receipt { position, message_id: last.id.clone(), connection: 0 }))
    }

    async fn has(&self, receipt: &Receipt) -> Result<bool, BusError> {
        Ok(receipt.position <= self.0.lock().expect("no poison").len() as u64)
    }
}

/// The running workers of a service. Dropping them aborts them at any point, as a crash does.
pub struct Workers {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Stops the workers and waits for them to finish.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}
