//! Secrets stay where they belong: not in logs, replies, metrics, exported spans, events or databases.

use std::fs;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use common::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};
use stripe_simulator::sign;
use tempfile::TempDir;
use testing::system::{Call, Order, PASSWORD, System, User, run};
use tokio::net::TcpListener;

use crate::binary::setup;
use crate::stripe::Stripe;

const JWT_KEY: &str = "H5kQ2vT9xW4mR7bN0cYd";
const STRIPE_KEY: &str = "sk_test_J8wD3nY6tF1cP0zL";
const WEBHOOK_SECRETS: [&str; 2] = ["whsec_K4rB9sG2hX7qV5mE", "whsec_U6jA1pM8dZ3yS0tC"];
const OTHER_PASSWORDS: [&str; 3] = ["mistyped C7fN1kS5", "swapped L2dV8gR4", "q7Zk2Wp"];
const CARD_NUMBER: &str = "4000056655665556";

const PAYS: &str = "tok_visa_once_E5gT8uJ2kL0w";
const PAYS_TOO: &str = "pm_card_mastercard";
const IS_DECLINED: &str = "tok_chargeDeclined_once_R9xH4bW6nVqm";
const ASKS: &str = "tok_threeDSecure2Required_once_Y3mF7cD1sQzj";
const IS_UNKNOWN: &str = "tok_P2zK6vA9tXeu";
const MEETS_OUTAGE: &str = "tok_visa_once_G8hN5dS2jBfi";

/// At the most detailed level, including that of dependencies.
#[tokio::test]
async fn no_secret_is_logged_stored_exported_or_sent_to_others() {
    for (format, key) in [("pretty", Some(JWT_KEY)), ("json", None)] {
        let (stripe, collector) = (Stripe::start().await, Collector::start().await);
        let setup = stripe.serve(setup()).set("STRIPE_KEY", STRIPE_KEY).set("RUST_LOG", "trace");
        let setup = setup.set("STRIPE_WEBHOOK_SECRET", &WEBHOOK_SECRETS.join(",")).set("LOG_FORMAT", format);
        let setup = setup.set("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url);
        let setup = key.into_iter().fold(setup, |setup, key| setup.set("JWT_KEY", key));
        let mut system = setup.start().await;
        let mut emitted = Emitted::default();
        let mut secrets = trade(&system, &stripe, &mut emitted).await;
        secrets.extend(fs::read_to_string(system.path("session-key")).map(|key| key.trim().to_owned()));

        emitted.add_files(&system, "while it runs");
        system.stop().await;
        emitted.add_files(&system, "after it stopped");
        emitted.add("the log", system.output().as_bytes());
        emitted.add("spans", &collector.received());
        emitted.assert_complete();
        assert_eq!(emitted.leaks(&secrets), Vec::<String>::new(), "with {format} logs");
        // The hash belongs into the database.
        assert!(!system.output().contains("$argon2"));
    }
}

#[tokio::test]
async fn a_start_that_fails_does_not_show_the_key() {
    let key = format!("{STRIPE_KEY}\u{1}");
    let setup = setup().set("STRIPE_KEY", &key).set("RUST_LOG", "trace");
    let (succeeded, output) = run(&mut setup.command(TempDir::new().unwrap().path())).await;
    assert!(!succeeded && output.contains("STRIPE_KEY") && !output.contains(STRIPE_KEY), "{output}");
}

/// Uses every secret, in requests that succeed and in requests that fail. Returns the secrets.
async fn trade(system: &System, stripe: &Stripe, emitted: &mut Emitted) -> Vec<String> {
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await.sign_in().await);
    let mut orders = Vec::new();
    for _ in 0..4 {
        orders.push(bob.order(&ann.create_ticket("Concert", "20").await).await);
    }
    system.wait_until_handled("payments_order-created", 4).await;

    sign_in_wrongly(&ann, emitted).await;
    pay_wrongly(&bob, &orders[0], emitted).await;
    bob.pay(&orders[0], PAYS).await;
    bob.pay(&orders[1], PAYS_TOO).await;
    let client_secret = authenticate(&bob, &orders[2], stripe, emitted).await;
    send_webhooks(&system.visitor(), stripe, emitted).await;
    for order in &orders[..3] {
        bob.wait_until_complete(order).await;
        emitted.add_reply(bob.get_payments(&order.id), 200).await;
    }
    for fault in ["closed", "error"] {
        stripe.fail("create", fault, 2).await;
        emitted.add_reply(bob.post_payment(&orders[3].id, MEETS_OUTAGE), 503).await;
    }
    for arguments in [["payments", "drift"], ["payments", "stuck"], ["dead-letters", "list"]] {
        let (_, output) = run(system.command().args(arguments)).await;
        emitted.add(arguments.join(" "), output.as_bytes());
    }
    emitted.add("metrics", system.admin("/metrics").await.1.as_bytes());

    let cards = [PAYS, PAYS_TOO, IS_DECLINED, ASKS, IS_UNKNOWN, MEETS_OUTAGE];
    let given = [JWT_KEY, STRIPE_KEY, PASSWORD, CARD_NUMBER, &ann.token, &bob.token, &client_secret];
    let mut secrets: Vec<String> = given.into_iter().map(str::to_owned).collect();
    secrets.extend(WEBHOOK_SECRETS.into_iter().chain(OTHER_PASSWORDS).chain(cards).map(str::to_owned));
    let intents = stripe.intents().await;
    let of_intents = intents.iter().flat_map(|intent| [&intent["client_secret"], &intent["payment_method"]]);
    secrets.extend(of_intents.filter_map(Value::as_str).map(str::to_owned));
    secrets
}

async fn sign_in_wrongly(ann: &User, emitted: &mut Emitted) {
    let [mistyped, swapped, short] = OTHER_PASSWORDS;
    for (path, email, password) in [
        ("/users/signin", ann.email.as_str(), mistyped),
        ("/users/signin", swapped, &ann.email),
        ("/users/signup", "eve@example.com", short),
        ("/users/signup", &ann.email, PASSWORD),
    ] {
        emitted.add_reply(ann.post(path, &json!({"email": email, "password": password})), 400).await;
    }
    emitted.add_reply(ann.with_token(&format!("{}x", ann.token)).get("/orders"), 401).await;
    ann.get(&format!("/tickets?card={CARD_NUMBER}")).send().await.expect(200);
}

async fn pay_wrongly(bob: &User, order: &Order, emitted: &mut Emitted) {
    emitted.add_reply(bob.post_payment(&order.id, IS_DECLINED), 402).await;
    emitted.add_reply(bob.post_payment(&order.id, IS_UNKNOWN), 400).await;
    for token in [json!(IS_UNKNOWN.repeat(20)), json!([IS_UNKNOWN]), json!({IS_UNKNOWN: IS_UNKNOWN})] {
        emitted.add_reply(bob.post("/payments", &json!({"orderId": order.id, "token": token})), 400).await;
    }
    let body = format!(r#"{{"orderId": "{}", "token": "{IS_UNKNOWN}""#, order.id);
    for (content_type, status) in [("application/json", 400), ("text/plain", 415)] {
        emitted.add_reply(bob.call(Method::POST, "/payments").body(content_type, body.clone()), status).await;
    }
}

/// Pays with a card whose bank asks for a further step. Returns the secret that is for the buyer only.
async fn authenticate(bob: &User, order: &Order, stripe: &Stripe, emitted: &mut Emitted) -> String {
    let mut reply: Value = bob.post_payment(&order.id, ASKS).send().await.expect(202).json();
    let secret = reply["clientSecret"].take().as_str().unwrap().to_owned();
    emitted.add("the rest of the reply", reply.to_string().as_bytes());
    emitted.add_reply(bob.get_payments(&order.id), 200).await;
    stripe.authenticate().await;
    secret
}

/// Sends what Stripe has to say about the last payment, which includes its secrets.
async fn send_webhooks(visitor: &User, stripe: &Stripe, emitted: &mut Emitted) {
    let is_about_intent = |event: &Value| event["data"]["object"]["client_secret"].is_string();
    let body = stripe.events().await.into_iter().find(is_about_intent).unwrap().to_string();
    let valid = sign(WEBHOOK_SECRETS[1], SystemClock.now(), &body);
    let foreign = sign("whsec_of_another", SystemClock.now(), &body);
    for (signature, status) in [(valid.as_str(), 200), (&foreign, 400), ("t=1", 400)] {
        let call = visitor.call(Method::POST, "/payments/webhook").header("stripe-signature", signature);
        emitted.add_reply(call.body("application/json", body.clone()), status).await;
    }
}

/// What the system has emitted, by place.
#[derive(Default)]
struct Emitted(Vec<(String, String)>);

impl Emitted {
    fn add(&mut self, place: impl Into<String>, bytes: &[u8]) {
        self.0.push((place.into(), String::from_utf8_lossy(bytes).into_owned()));
    }

    /// Sends a request and adds the reply, head and body.
    async fn add_reply(&mut self, call: Call, status: u16) {
        let reply = call.send().await.expect(status);
        self.add("a reply", format!("{reply:?}").as_bytes());
    }

    /// Adds the files of the data directory, write-ahead logs included. They also hold the events.
    fn add_files(&mut self, system: &System, when: &str) {
        for entry in fs::read_dir(system.directory()).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name != "session-key" {
                self.add(format!("{name} {when}"), &fs::read(entry.path()).unwrap());
            }
        }
    }

    /// Checks that each place holds what it should, so that a leak would be found.
    fn assert_complete(&self) {
        let mut expected = vec![
            ("the log", "/api/payments"),
            ("the log", "TRACE"),
            ("metrics", "http_requests_total"),
            ("events.db", "payment:created"),
            ("payments.db", "requires_action"),
            ("a reply", "Your card was declined."),
        ];
        if cfg!(feature = "otlp") {
            expected.push(("spans", "/api/payments"));
        }
        for (place, text) in expected {
            let is_found = self.0.iter().any(|(name, content)| name.starts_with(place) && content.contains(text));
            assert!(is_found, "{text} is not in {place}");
        }
    }

    /// Each secret with the places that show it, as it is or percent-encoded, and the text before it.
    fn leaks(&self, secrets: &[String]) -> Vec<String> {
        let mut leaks = Vec::new();
        for secret in secrets {
            let encoded = secret.replace('_', "%5F").replace(' ', "%20");
            for (place, content) in &self.0 {
                let found = content.split_once(secret.as_str()).or_else(|| content.split_once(&encoded));
                if let Some((before, _)) = found {
                    let start = before.floor_char_boundary(before.len().saturating_sub(100));
                    leaks.push(format!("{secret} in {place} after {:?}", &before[start..]));
                }
            }
        }
        leaks
    }
}

/// Receives spans as an OpenTelemetry collector does.
struct Collector {
    url: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    async fn start() -> Self {
        let received = Arc::<Mutex<Vec<u8>>>::default();
        let receive = async |State(received): State<Arc<Mutex<Vec<u8>>>>, spans: Bytes| {
            received.lock().unwrap().extend_from_slice(&spans);
        };
        let routes = Router::new().route("/v1/traces", post(receive)).layer(DefaultBodyLimit::disable());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = routes.with_state(received.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        Self { url, received }
    }

    fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }
}
