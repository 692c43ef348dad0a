//! Tests of the service through its HTTP routes.

mod current_user;
mod sign_in;
mod sign_out;
mod sign_up;

use auth::{AuthConfig, Hasher, SCHEMAS, service_with_hasher};
use common::store::Database;
use engines::sqlite::SqliteStore;
use serde_json::{Value, json};
use testing::{Reply, TestApp, TestEnv};

const SIGN_UP: &str = "/api/users/signup";
const SIGN_IN: &str = "/api/users/signin";
const SIGN_OUT: &str = "/api/users/signout";
const CURRENT_USER: &str = "/api/users/currentuser";

const CONFIG: AuthConfig = AuthConfig { session_hours: 24, cookie_secure: true };

struct AuthApp {
    env: TestEnv,
    database: Database,
    hasher: Hasher,
    service: TestApp,
}

impl AuthApp {
    fn new() -> Self {
        Self::with_config(CONFIG, Hasher::default())
    }

    fn with_config(config: AuthConfig, hasher: Hasher) -> Self {
        let env = TestEnv::new();
        let database = env.database(|file| SqliteStore::open(file, SCHEMAS));
        let service = service_with_hasher(&database, env.sessions.clone(), config, hasher.clone());
        let service = TestApp::new(service, Some(database.clone()));
        Self { env, database, hasher, service }
    }

    async fn sign_up(&self, email: &str, password: &str) -> Reply {
        self.post(SIGN_UP, &json!({"email": email, "password": password})).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Reply {
        self.post(SIGN_IN, &json!({"email": email, "password": password})).await
    }

    async fn post(&self, path: &str, body: &Value) -> Reply {
        self.service.post(path).json(body).send().await
    }

    /// Returns the current user of a request with this `Cookie` header.
    async fn current_user(&self, cookie: &str) -> Value {
        let reply = self.service.get(CURRENT_USER).header("cookie", cookie).send().await;
        let mut body = reply.expect(200);
        body["currentUser"].take()
    }
}

/// Returns the cookie that a reply sets, and its attributes in alphabetical order.
fn set_cookie(reply: &Reply) -> (String, Vec<String>) {
    let cookies: Vec<_> = reply.headers.get_all("set-cookie").iter().collect();
    assert_eq!(cookies.len(), 1, "{:?}", reply.headers);
    let mut parts = cookies[0].to_str().expect("header is text").split("; ").map(str::to_owned);
    let cookie = parts.next().expect("cookie has a value");
    let mut attributes: Vec<String> = parts.collect();
    attributes.sort();
    (cookie, attributes)
}

/// Expects that a reply sets no cookie.
#[track_caller]
fn expect_no_cookie(reply: &Reply) {
    assert_eq!(reply.headers.get("set-cookie"), None);
}

/// Expects that a route refuses bodies that are not a JSON object.
async fn expect_only_json_objects(path: &str) {
    let app = AuthApp::new();
    let body = r#"{"email": "ann@test.com", "password": "password"}"#;
    let send = |content_type: &'static str, body: String| {
        app.service.post(path).header("content-type", content_type).body(body).send()
    };
    app.service.post(path).body(body).send().await.expect_error(415, "Expected application/json");
    send("text/plain", body.to_owned()).await.expect_error(415, "Expected application/json");
    for broken in ["", "{", "[]", "null", "\"text\"", &body[1..]] {
        send("application/json", broken.to_owned()).await.expect_error(400, "Request body is not valid JSON");
    }
    send("application/json", " ".repeat(200_000) + body).await.expect_error(413, "Payload Too Large");
    assert_eq!(app.hasher.hash_count(), 0);
}

#[tokio::test]
async fn wrong_methods_and_unknown_routes_are_refused() {
    let app = AuthApp::new();
    for path in [SIGN_UP, SIGN_IN, SIGN_OUT] {
        app.service.get(path).send().await.expect_error(405, "Method Not Allowed");
    }
    app.service.post(CURRENT_USER).send().await.expect_error(405, "Method Not Allowed");
    app.service.get("/api/users").send().await.expect_error(404, "Not Found");
}

#[tokio::test]
async fn auth_publishes_no_events() {
    let app = AuthApp::new();
    app.sign_up("ann@test.com", "password").await.expect(201);
    app.sign_in("ann@test.com", "password").await.expect(200);
    assert_eq!(app.service.published().await, []);
}
