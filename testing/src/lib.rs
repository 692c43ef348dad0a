//! A service in a test: its real router and listeners on embedded engines, its clock moved by hand, nothing listening
//! on a port and nothing in the background.

pub mod builders;
pub mod contract;
mod interruptible;
pub mod pages;
pub mod servers;
pub mod snapshots;

use std::fmt::Debug;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use common::clock::{Clock, ManualClock, Timestamp};
use common::events::{Event, Message, Subject};
use common::http::with_manners;
use common::ids::UserId;
use common::listener::{ListenError, RegisteredListener};
use common::service::{Service, Worker};
use common::session::Sessions;
use common::store::{Database, Store};

pub use interruptible::InterruptibleBus;

/// What a service under test stands on: a directory, a clock at a fixed time, and sessions.
pub struct TestEnv {
    directory: TempDir,
    /// The clock of everything made here. It stands still until it is advanced.
    pub clock: ManualClock,
    /// Signs the sessions of [`TestEnv::user`].
    pub sessions: Sessions,
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnv {
    /// A env of its own, at noon of 31 January 2026.
    ///
    /// # Panics
    ///
    /// Without a writable temporary directory; so do all methods here when the machine fails them.
    pub fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_769_860_800_000));
        let sessions = Sessions::new(&"a key for tests".into(), Arc::new(clock.clone()));
        Self { directory: TempDir::new().expect("a temporary directory"), clock, sessions }
    }

    /// Where files go.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A database on the store that `open` opens in a file of this directory.
    pub fn database<S: Store, E: Debug>(&self, open: impl FnOnce(&Path) -> Result<S, E>) -> Database {
        let store = open(&self.directory().join("test.db")).expect("a database");
        Database::new(Arc::new(store), Arc::new(self.clock.clone()))
    }

    /// Somebody signed in.
    pub fn user(&self, name: &str) -> TestUser {
        let (id, email) = (UserId::generate(self.clock.now()), format!("{name}@test.com"));
        let token = self.sessions.sign(id, &email, Duration::from_secs(3600)).expect("a token");
        TestUser { id, email, cookie: format!("session={token}") }
    }

    /// `Cookie` headers that sign nobody in: without a token, with a broken, a forged and an expired one, and with a
    /// good one by another name.
    pub fn bad_cookies(&self) -> Vec<String> {
        let ann = self.user("ann");
        let forger = Sessions::new(&"another key".into(), Arc::new(self.clock.clone()));
        let sign = |sessions: &Sessions, lifetime| sessions.sign(ann.id, &ann.email, lifetime).expect("a token");
        let (forged, expired) = (sign(&forger, Duration::from_secs(3600)), sign(&self.sessions, Duration::ZERO));
        let mut cookies: Vec<_> = ["", "broken", &forged, &expired].map(|token| format!("session={token}")).into();
        cookies.push(format!("other_{}", ann.cookie));
        cookies
    }
}

/// Somebody signed in.
#[derive(Clone, Debug)]
pub struct TestUser {
    /// Who.
    pub id: UserId,
    /// Their email address.
    pub email: String,
    /// Their `Cookie` header.
    pub cookie: String,
}

/// A service in a test.
pub struct TestApp {
    routes: Router,
    listeners: Vec<RegisteredListener>,
    /// In a mutex, so that threads can share the service: a worker by itself may not be shared.
    workers: Mutex<Vec<Worker>>,
    database: Option<Database>,
}

impl TestApp {
    /// Puts a service under test. `database` is the one whose outbox [`published`](Self::published) takes from.
    pub fn new(service: Service, database: Option<Database>) -> Self {
        let Service { routes, listeners, workers, .. } = service;
        Self { routes: with_manners(routes), listeners, workers: workers.into(), database }
    }

    /// Starts its workers, once.
    pub fn start_workers(&mut self) -> Workers {
        let stop = CancellationToken::new();
        let workers = std::mem::take(self.workers.get_mut().expect("no poison"));
        let tasks = workers.into_iter().map(|worker| worker(stop.clone())).collect();
        Workers { stop, tasks }
    }

    /// Begins a request to its router.
    pub fn request(&self, method: Method, path: &str) -> TestRequest {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
        TestRequest { routes: self.routes.clone(), request }
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

    /// Delivers an event once to the listener of its subject.
    pub async fn deliver_once<E: Event>(&self, event: &E) -> Result<(), ListenError> {
        self.deliver_payload(E::SUBJECT, &message(event).payload).await
    }

    /// Delivers an event twice, as may happen, and expects it to be handled both times.
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

    /// Takes what would be published now out of the outbox: subjects and payloads, in their order.
    pub async fn published(&self) -> Vec<(Subject, Value)> {
        let store = self.database.as_ref().expect("a database").store();
        let events = store.unpublished(1000).await.expect("the outbox");
        store.published(&events).await.expect("the outbox");
        let payload = |message: &Message| serde_json::from_str(&message.payload).expect("JSON");
        events.iter().map(|event| (event.message.subject, payload(&event.message))).collect()
    }
}

/// The workers of a service, at work. Dropping them cuts them off wherever they are, as a crash does.
pub struct Workers {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Workers {
    /// Tells them to stop and waits until they have.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.join_all().await;
    }
}

/// A request being put together.
pub struct TestRequest {
    routes: Router,
    request: Request<Body>,
}

impl TestRequest {
    /// Asks as this user.
    pub fn by(self, user: &TestUser) -> Self {
        self.header("cookie", &user.cookie)
    }

    /// Adds a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request.headers_mut().append(name, value.parse().expect("a header value"));
        self
    }

    /// Brings a JSON body.
    pub fn json(self, body: &Value) -> Self {
        self.header(header::CONTENT_TYPE.as_str(), "application/json").body(body.to_string())
    }

    /// Brings any body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        *self.request.body_mut() = body.into();
        self
    }

    /// Sends it and reads the whole reply.
    pub async fn send(self) -> Reply {
        let Ok(response): Result<Response, _> = self.routes.oneshot(self.request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("a JSON body") };
        Reply { status: parts.status, headers: parts.headers, body }
    }
}

/// A reply, read whole.
#[derive(Debug)]
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, `Null` if it has none.
    pub body: Value,
}

impl Reply {
    /// Expects a status and returns the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    /// Expects a failure that says this one message, about no field.
    #[track_caller]
    pub fn expect_error(self, status: u16, message: &str) {
        assert_eq!(self.expect(status), serde_json::json!({"errors": [{"message": message}]}));
    }

    /// Expects a 400 that blames these fields, in this order: `[(field, message)]`.
    #[track_caller]
    pub fn expect_invalid(self, fields: &[(&str, &str)]) {
        let error = |(field, message): &(&str, &str)| serde_json::json!({"message": message, "field": field});
        let errors: Vec<Value> = fields.iter().map(error).collect();
        assert_eq!(self.expect(400), serde_json::json!({ "errors": errors }));
    }
}

/// The message that carries an event.
///
/// # Panics
///
/// If the event cannot be serialised.
pub fn message<E: Event>(event: &E) -> Message {
    Message::new(event).expect("an event that can be serialised")
}
