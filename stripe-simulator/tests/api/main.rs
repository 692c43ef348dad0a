//! Tests of the HTTP API, each on a fresh database.

mod authentication;
mod bodies;
mod cards;
mod idempotency;
mod states;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use engines::sqlite::SqliteStore;
use http_body_util::BodyExt;
use serde_json::Value;
use testing::TestEnv;
use tower::ServiceExt;

/// The form of an authorisation with manual capture.
const AUTHORISATION: &str = "amount=1999&currency=usd&confirm=true&capture_method=manual&payment_method=pm_card_visa";

struct Stripe {
    routes: Router,
    _env: TestEnv,
}

#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Stripe {
    fn new() -> Self {
        let env = TestEnv::new();
        let database = env.database(|file| SqliteStore::open(file, stripe_simulator::SCHEMAS));
        Self { routes: stripe_simulator::router(&database), _env: env }
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        let response = self.routes.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("readable body").to_bytes();
        Reply { status: parts.status, headers: parts.headers, body: serde_json::from_slice(&body).expect("JSON body") }
    }

    async fn post_keyed(&self, path: &str, form: &str, key: Option<&str>) -> Reply {
        let mut request = Request::post(path).header("authorization", "Bearer sk_test_1");
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(form.to_owned().into()).expect("valid request")).await
    }

    async fn post(&self, path: &str, form: &str) -> Reply {
        self.post_keyed(path, form, None).await
    }

    async fn get(&self, path: &str) -> Reply {
        let request = Request::get(path).header("authorization", "Bearer sk_test_1");
        self.send(request.body(Body::empty()).expect("valid request")).await
    }

    /// Creates an authorised intent and returns its path.
    async fn authorise(&self) -> String {
        let intent = self.post("/v1/payment_intents", AUTHORISATION).await.expect(200);
        format!("/v1/payment_intents/{}", intent["id"].as_str().expect("intent id"))
    }
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
