//! Request bodies, errors and middleware in memory, and the server over real sockets.
//!
//! Tests of timeouts pause tokio's clock, which then jumps to the next timer whenever every task is idle.

mod client;
mod server;
mod shutdown;
mod timeouts;
mod unread;

use std::io;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::http::Method;
use axum::routing::{get, post};
use bytes::Bytes;
use common::http::{ApiError, Body, Required};
use common::service::Service;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::json;
use testing::{Reply, TestApp};
use validator::Validate;

#[derive(Deserialize, Validate)]
struct Thing {
    #[validate(required(message = "Name is required"))]
    name: Required<String>,
    #[validate(required(message = "Size is required"))]
    size: Required<u32>,
}

async fn create_thing(Body(thing): Body<Thing>) -> Result<String, ApiError> {
    let _size = thing.size.get()?;
    Ok(thing.name.get()?.len().to_string())
}

fn routes() -> Router {
    Router::new()
        .route("/things", get(async || axum::Json(json!([]))).post(create_thing))
        .route("/panics", get(panics))
        .route("/fails", post(async || Err::<(), _>(ApiError::internal(cause()))))
        .route("/down", post(async || Err::<(), _>(ApiError::unavailable(cause()))))
        .route("/hangs", get(async || std::future::pending::<()>().await))
}

async fn panics() {
    panic!("the secret inside");
}

fn cause() -> anyhow::Error {
    anyhow::anyhow!("the secret inside").context("disk full").context("could not write")
}

fn service() -> TestApp {
    TestApp::new(Service::new("things").routes(routes()), None)
}

fn request_id(reply: &Reply) -> &str {
    reply.headers["x-request-id"].to_str().expect("text")
}

#[tokio::test]
async fn every_error_has_the_same_shape() {
    let service = service();
    let post = || service.post("/things").header("content-type", "application/json");
    service.get("/nothing").send().await.expect_error(404, "Not Found");
    service.get("/things/").send().await.expect_error(404, "Not Found");
    service.delete("/things").send().await.expect_error(405, "Method Not Allowed");
    service
        .request(Method::from_bytes(b"BREW").unwrap(), "/things")
        .send()
        .await
        .expect_error(405, "Method Not Allowed");
    service.post("/things").body("{}").send().await.expect_error(415, "Expected application/json");
    let text = service.post("/things").header("content-type", "text/plain; note=application/json");
    text.body("{}").send().await.expect_error(415, "Expected application/json");
    for body in ["", "{", "[]", "null", "1", "\"text\"", "{\"name\": }", "\u{feff}{}", &"[".repeat(90_000)] {
        post().body(body.to_owned()).send().await.expect_error(400, "Request body is not valid JSON");
    }
    post().body(vec![b'{', 0xff, b'}']).send().await.expect_error(400, "Request body is not valid JSON");
    let wrong = post().body("{\"name\": 1}").send().await;
    wrong.expect_invalid(&[("name", "Name is required"), ("size", "Size is required")]);
}

#[tokio::test]
async fn bodies_over_a_hundred_kilobytes_are_refused() {
    let service = service();
    let body = |length: usize| {
        let around = json!({"name": "", "size": 1}).to_string().len();
        let name = "x".repeat(length - around);
        service.post("/things").json(&json!({"name": name, "size": 1})).send()
    };
    assert_eq!(body(100 * 1024).await.expect(200), json!(100 * 1024 - 20));
    body(100 * 1024 + 1).await.expect_error(413, "Payload Too Large");
    body(10 << 20).await.expect_error(413, "Payload Too Large");
}

#[tokio::test]
async fn every_spelling_of_a_json_content_type_is_accepted() {
    for content_type in ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"] {
        let request = service().post("/things").header("content-type", content_type);
        request.body("{\"name\": \"x\", \"size\": 1}").send().await.expect(200);
    }
}

#[tokio::test]
async fn a_valid_request_id_is_kept_and_an_invalid_one_replaced() {
    let service = service();
    for valid in ["a", "0f9d-_.Z", &"x".repeat(128)] {
        assert_eq!(request_id(&service.get("/things").header("x-request-id", valid).send().await), valid);
    }
    for invalid in ["", "two words", "<script>", "a\"b", &"x".repeat(129)] {
        let reply = service.get("/nothing").header("x-request-id", invalid).send().await;
        assert_eq!(request_id(&reply).len(), 32, "{invalid}");
    }
    let (first, second) = (service.get("/things").send().await, service.get("/things").send().await);
    assert_ne!(request_id(&first), request_id(&second));
}

#[tokio::test]
async fn a_server_error_reveals_only_its_request_id() {
    let service = service();
    for (request, status) in
        [(service.get("/panics"), 500), (service.post("/fails"), 500), (service.post("/down"), 503)]
    {
        let reply = request.header("x-request-id", "mine").send().await;
        assert_eq!(reply.headers["content-type"], "application/json");
        assert_eq!(reply.headers.contains_key("retry-after"), status == 503);
        assert_eq!(request_id(&reply), "mine");
        let body = reply.expect(status);
        assert_eq!(body, json!({"errors": [{"message": "Something went wrong", "requestId": "mine"}]}));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_times_out() {
    let drip = futures_util::stream::once(async { Ok::<_, io::Error>(Bytes::from("{")) });
    let body = HttpBody::from_stream(drip.chain(futures_util::stream::pending()));
    let request = service().post("/things").header("content-type", "application/json").body(body);
    request.send().await.expect_error(408, "Request Timeout");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_times_out() {
    let reply = service().get("/hangs").header("x-request-id", "mine").send().await;
    assert_eq!(reply.headers["retry-after"], "1");
    let body = reply.expect(503);
    assert_eq!(body, json!({"errors": [{"message": "Something went wrong", "requestId": "mine"}]}));
}
