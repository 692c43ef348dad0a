use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::post;
use common::clock::Clock;
use serde_json::Value;
use stripe_simulator::{Endpoint, Order, Settings, sign, start_with};
use testing::soon;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use crate::description::check_event;
use crate::{AUTHORISATION, Stripe};

/// A webhook endpoint that refuses its first deliveries.
struct Receiver {
    url: String,
    deliveries: UnboundedReceiver<(String, String)>,
}

#[derive(Clone)]
struct Hook {
    sender: UnboundedSender<(String, String)>,
    refusals: Arc<AtomicUsize>,
}

impl Receiver {
    async fn start(refusals: usize) -> Self {
        let (sender, deliveries) = unbounded_channel();
        let hook = Hook { sender, refusals: Arc::new(AtomicUsize::new(refusals)) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let routes = Router::new().route("/hook", post(receive)).with_state(hook);
        tokio::spawn(common::http::serve(listener, routes, CancellationToken::new()));
        Self { url, deliveries }
    }

    async fn next(&mut self) -> (String, String) {
        soon("a delivery", self.deliveries.recv()).await.expect("a delivery")
    }

    /// The types of the next events.
    async fn types(&mut self, count: usize) -> Vec<String> {
        let mut types = Vec::new();
        for _ in 0..count {
            let event: Value = serde_json::from_str(&self.next().await.1).expect("JSON");
            check_event(&event);
            types.push(event["type"].as_str().expect("a type").to_owned());
        }
        types
    }
}

async fn receive(State(hook): State<Hook>, headers: HeaderMap, body: String) -> StatusCode {
    let refuse = |count: usize| count.checked_sub(1);
    if hook.refusals.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let signature = headers["stripe-signature"].to_str().expect("text").to_owned();
    hook.sender.send((signature, body)).expect("a running test");
    StatusCode::OK
}

async fn deliver(stripe: &Stripe, endpoint: Endpoint) {
    let settings = Settings { webhook: Some(endpoint), ..Settings::default() };
    start_with(&stripe.database, ([127, 0, 0, 1], 0).into(), settings).await.expect("a port");
}

const CREATED: &str = "payment_intent.created";
const CAPTURABLE: &str = "payment_intent.amount_capturable_updated";

/// Stores the endpoint, paused, so that the events of the test wait for it.
async fn pause(stripe: &Stripe, url: &str) {
    let body = format!(r#"{{"url": "{url}", "secret": "whsec_1", "paused": true}}"#);
    stripe.control(Method::PUT, "/webhooks", &body).await.expect(200);
}

#[tokio::test]
async fn events_are_signed_and_survive_a_restart() {
    let mut receiver = Receiver::start(0).await;
    let stripe = Stripe::new();
    pause(&stripe, &receiver.url).await;
    stripe.authorise().await;
    assert_eq!(stripe.get("/v1/events").await.expect(200)["data"][0]["pending_webhooks"], 1);
    let stripe = stripe.restart();
    deliver(&stripe, Endpoint::new(&receiver.url, "whsec_1")).await;
    let (signature, body) = receiver.next().await;
    assert_eq!(signature, sign("whsec_1", stripe.env.clock.now(), &body));
    assert_eq!(receiver.types(1).await, [CAPTURABLE]);
}

#[tokio::test]
async fn a_refused_event_is_sent_again() {
    let mut receiver = Receiver::start(1).await;
    let stripe = Stripe::new();
    pause(&stripe, &receiver.url).await;
    stripe.create(AUTHORISATION.replace("confirm=true", "confirm=false").as_str()).await;
    deliver(&stripe, Endpoint::new(&receiver.url, "whsec_1")).await;
    assert_eq!(receiver.types(1).await, [CREATED]);
}

#[tokio::test]
async fn events_can_arrive_twice_and_out_of_order() {
    let mut receiver = Receiver::start(0).await;
    let stripe = Stripe::new();
    pause(&stripe, &receiver.url).await;
    stripe.authorise().await;
    let endpoint = Endpoint { copies: 2, order: Order::Newest, ..Endpoint::new(&receiver.url, "whsec_1") };
    deliver(&stripe, endpoint).await;
    assert_eq!(receiver.types(4).await, [CAPTURABLE, CAPTURABLE, CREATED, CREATED]);
}
