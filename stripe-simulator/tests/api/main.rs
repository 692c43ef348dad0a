//! Tests of the HTTP API, each on a fresh database.

mod authentication;
mod bodies;
mod cards;
mod control;
mod description;
mod events;
mod faults;
mod idempotency;
mod lists;
mod restart;
mod schema;
mod states;
mod tcp;
mod webhooks;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use common::store::Database;
use engines::sqlite::SqliteStore;
use http_body_util::BodyExt;
use serde_json::Value;
use testing::TestEnv;
use tower::ServiceExt;

use description::check_reply;

/// The form of an authorisation with manual capture.
const AUTHORISATION: &str = "amount=1999&currency=usd&confirm=true&capture_method=manual&payment_method=pm_card_visa";

const PATH: &str = "/v1/payment_intents";

struct Stripe {
    routes: Router,
    database: Database,
    env: TestEnv,
}

#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

/// The connection broke before the body.
#[derive(Debug, PartialEq, Eq)]
struct Broken;

impl Stripe {
    fn new() -> Self {
        let env = TestEnv::new();
        let database = open(&env);
        Self { routes: stripe_simulator::router(&database), database, env }
    }

    /// Starts it again on the same database.
    fn restart(self) -> Self {
        let Self { routes, database, env } = self;
        drop((routes, database));
        let database = open(&env);
        Self { routes: stripe_simulator::router(&database), database, env }
    }

    async fn try_send(&self, request: Request<Body>) -> Result<Reply, Broken> {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).expect("JSON body") };
        check_reply(&method, &path, parts.status, &body);
        Ok(Reply { status: parts.status, headers: parts.headers, body })
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        self.try_send(request).await.expect("readable body")
    }

    async fn try_post(&self, path: &str, form: &str, key: Option<&str>) -> Result<Reply, Broken> {
        self.try_send(post_request(path, form, key)).await
    }

    async fn post_keyed(&self, path: &str, form: &str, key: Option<&str>) -> Reply {
        self.send(post_request(path, form, key)).await
    }

    async fn post(&self, path: &str, form: &str) -> Reply {
        self.post_keyed(path, form, None).await
    }

    async fn get(&self, path: &str) -> Reply {
        let request = Request::get(path).header("authorization", "Bearer sk_test_1");
        self.send(request.body(Body::empty()).expect("valid request")).await
    }

    /// Sends a control request.
    async fn control(&self, method: Method, path: &str, body: &str) -> Reply {
        let request = Request::builder().method(method).uri(format!("/_simulator{path}"));
        self.send(request.body(body.to_owned().into()).expect("valid request")).await
    }

    /// Makes the next call of the operation suffer the fault.
    async fn fail_next(&self, operation: &str, fault: &str) {
        let rule = format!(r#"{{"operation": "{operation}", "fault": "{fault}"}}"#);
        self.control(Method::POST, "/faults", &rule).await.expect(200);
    }

    /// Does what a person or a bank does to the intent at this path.
    async fn act(&self, path: &str, action: &str) -> Reply {
        let intents = path.strip_prefix("/v1").expect("the path of an intent");
        self.control(Method::POST, &format!("{intents}/{action}"), "").await
    }

    /// Creates an authorised intent and returns its path.
    async fn authorise(&self) -> String {
        self.create(AUTHORISATION).await
    }

    /// Creates an intent and returns its path.
    async fn create(&self, form: &str) -> String {
        path_of(&self.post(PATH, form).await.expect(200))
    }

    /// The types of all events, oldest first.
    async fn event_types(&self) -> Vec<String> {
        let events = self.get("/v1/events?limit=100").await.expect(200);
        let events = events["data"].as_array().expect("events").iter().rev();
        events.map(|event| event["type"].as_str().expect("a type").to_owned()).collect()
    }
}

fn open(env: &TestEnv) -> Database {
    env.database(|file| SqliteStore::open(file, stripe_simulator::SCHEMAS))
}

fn path_of(intent: &Value) -> String {
    format!("{PATH}/{}", intent["id"].as_str().expect("intent id"))
}

fn post_request(path: &str, form: &str, key: Option<&str>) -> Request<Body> {
    let mut request = Request::post(path).header("authorization", "Bearer sk_test_1");
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    request.body(form.to_owned().into()).expect("valid request")
}

impl Reply {
    #[track_caller]
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        self.body
    }

    #[track_caller]
    fn expect_error(self, status: u16, kind: &str, code: Option<&str>, message: &str) -> Value {
        let error = self.expect(status)["error"].take();
        assert_eq!(error["type"], kind, "{error}");
        assert_eq!(error.get("code").and_then(Value::as_str), code, "{error}");
        assert_eq!(error["message"], message);
        error
    }

    fn is_replayed(&self) -> bool {
        self.headers.get("idempotent-replayed").is_some_and(|value| value == "true")
    }
}
