//! Stripe's simulator in this process, with a gate that can hold a call.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use common::clock::SystemClock;
use common::store::Database;
use engines::sqlite::SqliteStore;
use serde_json::{Value, json};
use tempfile::TempDir;
use testing::system::{Setup, http_client};
use testing::{soon, wait_until};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// A call of Stripe's API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Create,
    Confirm,
    Capture,
    Cancel,
    Refund,
    Retrieve,
}

/// Where a call is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    /// Before Stripe has received the request. It never does.
    Request,
    /// After Stripe has executed the request.
    Response,
}

/// A running simulator.
pub(crate) struct Stripe {
    /// The base URL of its API.
    pub(crate) url: String,
    gate: Gate,
    http: reqwest::Client,
    _directory: TempDir,
}

/// What has become of the buyers' money.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Money {
    /// How often an amount was held.
    pub(crate) holds: usize,
    /// How many of these holds are open.
    pub(crate) held: usize,
    /// How often an amount was charged.
    pub(crate) charges: usize,
    /// How many of these charges were refunded.
    pub(crate) refunds: usize,
}

/// The calls that are held.
#[derive(Clone, Default)]
struct Gate(watch::Sender<Vec<Hold>>);

struct Hold {
    operation: Operation,
    at: Held,
    is_reached: bool,
}

impl Stripe {
    /// Starts it with an empty database.
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let store = SqliteStore::open(&directory.path().join("stripe.db"), stripe_simulator::SCHEMAS).unwrap();
        let database = Database::new(Arc::new(store), Arc::new(SystemClock));
        let gate = Gate::default();
        let routes: Router = stripe_simulator::router(&database).layer(from_fn_with_state(gate.clone(), pass));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async { axum::serve(listener, routes).await });
        Self { url, gate, http: http_client(), _directory: directory }
    }

    /// Makes a system use it.
    pub(crate) fn serve(&self, setup: Setup) -> Setup {
        setup.set("STRIPE_API_BASE", &self.url)
    }

    /// Holds the next calls of this operation.
    pub(crate) fn hold(&self, operation: Operation, at: Held) {
        self.gate.0.send_modify(|holds| holds.push(Hold { operation, at, is_reached: false }));
    }

    /// Waits until a call of this operation is held.
    pub(crate) async fn wait_until_held(&self, operation: Operation) {
        let is_held = |holds: &Vec<Hold>| holds.iter().any(|hold| hold.operation == operation && hold.is_reached);
        soon(&format!("{operation:?} to be held"), self.gate.0.subscribe().wait_for(is_held)).await.unwrap();
    }

    /// Holds nothing any more.
    pub(crate) fn open(&self) {
        self.gate.0.send_modify(Vec::clear);
    }

    /// Makes the next calls fail.
    pub(crate) async fn fail(&self, operation: &str, fault: &str, times: u32) {
        let rule = json!({"operation": operation, "fault": fault, "times": times});
        self.post("/_simulator/faults", &rule).await;
    }

    /// Completes the authentication that the bank asks for, once it does.
    pub(crate) async fn authenticate(&self) {
        let intent = wait_until("the bank asks the buyer to authenticate", async || {
            let intents = self.intents().await;
            intents.into_iter().find(|intent| intent["status"] == "requires_action")
        });
        let path = format!("/_simulator/payment_intents/{}/authenticate", intent.await["id"].as_str().unwrap());
        self.post(&path, &Value::Null).await;
    }

    /// All intents, newest first.
    pub(crate) async fn intents(&self) -> Vec<Value> {
        self.list("/v1/payment_intents").await
    }

    /// All events, newest first.
    pub(crate) async fn events(&self) -> Vec<Value> {
        self.list("/v1/events").await
    }

    /// What has become of the buyers' money.
    pub(crate) async fn money(&self) -> Money {
        let (intents, events) = (self.intents().await, self.events().await);
        let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        Money {
            holds: count("payment_intent.amount_capturable_updated"),
            held: intents.iter().filter(|intent| intent["status"] == "requires_capture").count(),
            charges: count("charge.captured"),
            refunds: count("charge.refunded"),
        }
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        let request = self.http.get(format!("{}{path}?limit=100", self.url)).bearer_auth("sk_test_1");
        let page: Value = request.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
        assert_eq!(page["has_more"], false);
        page["data"].as_array().unwrap().clone()
    }

    async fn post(&self, path: &str, body: &Value) {
        let request = self.http.post(format!("{}{path}", self.url)).json(body);
        request.send().await.unwrap().error_for_status().unwrap();
    }
}

impl Operation {
    fn of(request: &Request) -> Option<Self> {
        match (request.method(), request.uri().path().rsplit('/').next()?) {
            (&Method::POST, "payment_intents") => Some(Self::Create),
            (&Method::POST, "confirm") => Some(Self::Confirm),
            (&Method::POST, "capture") => Some(Self::Capture),
            (&Method::POST, "cancel") => Some(Self::Cancel),
            (&Method::POST, "refunds") => Some(Self::Refund),
            (&Method::GET, intent) if intent.starts_with("pi_") => Some(Self::Retrieve),
            _ => None,
        }
    }
}

impl Gate {
    /// Waits while calls of this operation are held here. Returns whether this one was.
    async fn hold(&self, operation: Option<Operation>, at: Held) -> bool {
        let is_held = self.0.send_if_modified(|holds| {
            let here = holds.iter_mut().find(|hold| (Some(hold.operation), hold.at) == (operation, at));
            here.map(|hold| hold.is_reached = true).is_some()
        });
        if is_held {
            let mut holds = self.0.subscribe();
            // The sender lives as long as self, so this cannot fail.
            drop(holds.wait_for(Vec::is_empty).await);
        }
        is_held
    }
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let operation = Operation::of(&request);
    if gate.hold(operation, Held::Request).await {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let response = next.run(request).await;
    gate.hold(operation, Held::Response).await;
    response
}
