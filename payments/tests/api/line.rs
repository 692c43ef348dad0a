//! The connection to Stripe.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use common::error::BoxError;
use common::store::Database;
use http_body_util::BodyExt;
use payments::stripe::Transport;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, oneshot};
use tower::ServiceExt;

/// How a request to Stripe fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request does not arrive.
    NotSent,
    /// The request arrives and the response is lost.
    ResponseLost,
}

/// A connection to the simulator that can fail, and that can hold back responses.
pub(crate) struct Line {
    stripe: Router,
    /// The same Stripe without its faults.
    quiet: Router,
    /// The faults of the next requests, in order.
    faults: Mutex<VecDeque<Option<Fault>>>,
    is_down: Mutex<bool>,
    /// Decides about each request whether Stripe fails.
    chance: Mutex<Option<StdRng>>,
    /// The requests so far.
    calls: Mutex<Vec<String>>,
    /// The responses to requests that contain one of these texts are held back.
    holds: Mutex<Vec<&'static str>>,
    /// The responses that are held back, in the order of the requests.
    held: Mutex<VecDeque<oneshot::Sender<()>>>,
    /// Receives a permit for each response that is held back.
    arrived: Semaphore,
}

impl Line {
    pub(crate) fn new(at_stripe: &Database) -> Self {
        Self {
            stripe: stripe_simulator::router(at_stripe),
            quiet: stripe_simulator::router(at_stripe),
            faults: Mutex::default(),
            is_down: Mutex::default(),
            chance: Mutex::default(),
            calls: Mutex::default(),
            holds: Mutex::default(),
            held: Mutex::default(),
            arrived: Semaphore::new(0),
        }
    }

    /// Makes the next requests fail. `None` lets one succeed.
    pub(crate) fn fail(&self, faults: impl IntoIterator<Item = impl Into<Option<Fault>>>) {
        self.faults.lock().expect("no poison").extend(faults.into_iter().map(Into::into));
    }

    /// Cuts the connection, or restores it.
    pub(crate) fn set_down(&self, is_down: bool) {
        *self.is_down.lock().expect("no poison") = is_down;
    }

    /// The requests so far: `POST /v1/payment_intents/pi_…/confirm`.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().expect("no poison").clone()
    }

    /// Takes the requests so far.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().expect("no poison"))
    }

    /// Holds back the responses to requests that contain `text`, as [`calls`](Self::calls) shows them.
    pub(crate) fn hold(&self, text: &'static str) {
        self.holds.lock().expect("no poison").push(text);
    }

    /// Waits until a response is held back: Stripe has done the work, and the service does not know.
    pub(crate) async fn held(&self) {
        let arrived = tokio::time::timeout(Duration::from_secs(20), self.arrived.acquire()).await;
        arrived.expect("a response in time").expect("an open semaphore").forget();
    }

    /// Lets the oldest response through that is held back.
    pub(crate) fn release_one(&self) {
        let response = self.held.lock().expect("no poison").pop_front().expect("a response is held back");
        response.send(()).expect("the service waits");
    }

    /// Lets all responses through, and holds back no more.
    pub(crate) fn release_all(&self) {
        self.holds.lock().expect("no poison").clear();
        // Those whose sender has been cut off are dropped.
        self.held.lock().expect("no poison").clear();
    }

    async fn hold_back(&self, call: &str) {
        if !self.holds.lock().expect("no poison").iter().any(|text| call.contains(text)) {
            return;
        }
        let (release, released) = oneshot::channel();
        self.held.lock().expect("no poison").push_back(release);
        self.arrived.add_permits(1);
        let _sent_or_dropped = released.await;
    }

    /// Makes Stripe itself fail: `{"operation": "capture", "fault": "error"}`.
    pub(crate) async fn fail_at_stripe(&self, fault: Value) {
        send(&self.stripe, "POST", "/_simulator/faults", fault.to_string()).await;
    }

    /// Makes Stripe itself fail at one request in three, by chance.
    pub(crate) fn fail_one_in_three(&self, seed: u64) {
        *self.chance.lock().expect("no poison") = Some(StdRng::seed_from_u64(seed));
    }

    /// Does something to the newest intent, as in the dashboard or at the buyer's bank.
    pub(crate) async fn act_at_stripe(&self, action: &str) -> Value {
        let intent = self.intents().await.swap_remove(0);
        let path = format!("/_simulator/payment_intents/{}/{action}", intent["id"].as_str().expect("an id"));
        send(&self.quiet, "POST", &path, String::new()).await
    }

    /// The intents, newest first.
    pub(crate) async fn intents(&self) -> Vec<Value> {
        let path = "/v1/payment_intents?limit=100&expand[]=data.latest_charge";
        send(&self.quiet, "GET", path, String::new()).await["data"].as_array().expect("a list").clone()
    }

    /// The statuses of the intents, newest first. That of a refunded one is `refunded`.
    pub(crate) async fn statuses(&self) -> Vec<String> {
        // The charge of a released hold counts as refunded too.
        let status = |intent: &Value| {
            let is_refunded = intent["status"] == "succeeded" && intent["latest_charge"]["refunded"] == true;
            if is_refunded { "refunded" } else { intent["status"].as_str().expect("a status") }.to_owned()
        };
        self.intents().await.iter().map(status).collect()
    }

    /// The events of Stripe, newest first.
    pub(crate) async fn events(&self) -> Vec<Value> {
        send(&self.quiet, "GET", "/v1/events?limit=100", String::new()).await["data"]
            .as_array()
            .expect("a list")
            .clone()
    }
}

async fn send(stripe: &Router, method: &str, path: &str, body: String) -> Value {
    let request = Request::builder().method(method).uri(path).header("authorization", "Bearer sk_test_1");
    let request = request.header("content-type", "application/json").body(Body::from(body)).expect("a request");
    let Ok(response) = stripe.clone().oneshot(request).await;
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(status.is_success(), "{path}: {status} {body:?}");
    serde_json::from_slice(&body).unwrap_or(Value::Null)
}

#[async_trait]
impl Transport for Line {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, BoxError> {
        let call = format!("{} {}", request.method(), request.uri().path());
        self.calls.lock().expect("no poison").push(call.clone());
        // The audit lists intents at any time.
        let is_audit = request.uri().query().is_some_and(|query| query.contains("limit"));
        let fault = if is_audit { None } else { self.faults.lock().expect("no poison").pop_front().flatten() };
        if fault == Some(Fault::NotSent) || *self.is_down.lock().expect("no poison") {
            return Err("not sent".into());
        }
        let is_unlucky = |chance: &mut StdRng| chance.random_ratio(1, 3);
        if self.chance.lock().expect("no poison").as_mut().is_some_and(is_unlucky) {
            self.fail_at_stripe(json!({"operation": "any", "fault": "error"})).await;
        }
        let Ok(response) = self.stripe.clone().oneshot(request.map(Body::from)).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        self.hold_back(&call).await;
        if fault == Some(Fault::ResponseLost) {
            Err("response lost".into())
        } else {
            Ok(Response::from_parts(parts, body))
        }
    }
}
