//! Request bodies, errors, middleware and the server, in memory and over real sockets.
//!
//! Tests of timeouts pause tokio's clock, which then jumps to the next timer whenever every task is idle.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Body as HttpBody;
use axum::http::Method;
use axum::routing::{get, post};
use bytes::Bytes;
use common::http::{ApiError, Body, Required, serve, with_middleware};
use common::service::Service;
use futures_util::StreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use testing::soon;
use testing::{Reply, TestApp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
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

/// Collects log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.lock().expect("no poison")
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes().clone()).expect("UTF-8")
    }

    fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_logged_without_their_query_and_failures_with_their_whole_cause() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone()).finish();
    let _until_the_end = tracing::subscriber::set_default(subscriber);
    let service = service();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    for (method, path, status, cause) in [
        (Method::GET, "/things", 200, None),
        (Method::GET, "/nothing", 404, None),
        (Method::POST, "/fails", 500, Some("could not write: disk full: the secret inside")),
        (Method::POST, "/down", 503, Some("could not write: disk full: the secret inside")),
        (Method::GET, "/panics", 500, Some("handler panicked: the secret inside")),
        (Method::GET, "/hangs", 503, Some("handler took longer than 20s")),
    ] {
        log.bytes().clear();
        let request = service.request(method.clone(), &format!("{path}?token=hunter2")).header("x-request-id", "mine");
        request.header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")).send().await;
        assert!(!log.text().contains("hunter2"), "{}", log.text());
        let mut lines = log.lines();
        let access = lines.pop().expect("an access log line");
        assert_eq!((&access["message"], &access["status"]), (&json!("request"), &json!(status)));
        assert!(access["micros"].is_u64(), "{access}");
        let span = &access["span"];
        assert_eq!((&span["name"], &span["path"]), (&json!("request"), &json!(path)), "{access}");
        assert_eq!((&span["request_id"], &span["trace_id"]), (&json!("mine"), &json!(trace)), "{access}");
        assert_eq!(span["method"], method.as_str());
        let failures: Vec<_> = lines.iter().map(|line| line["cause"].as_str()).collect();
        assert_eq!(failures, cause.iter().map(|cause| Some(*cause)).collect::<Vec<_>>());
        assert!(lines.iter().all(|line| line["message"] == "request failed" && line["span"] == *span), "{lines:?}");
    }
}

/// A server on a free port.
struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(routes: Router) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let (address, stop) = (listener.local_addr().expect("an address"), CancellationToken::new());
    let task = tokio::spawn(serve(listener, with_middleware(routes), stop.clone()));
    Server { address, stop, task }
}

impl Server {
    async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream
    }

    async fn exchange(&self, request: &str) -> String {
        rest(self.send(request).await).await
    }
}

/// Reads until the server closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.expect("a reply");
    reply
}

const GET_THINGS: &str = "GET /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_connection_serves_further_requests_after_a_failure() {
    let server = start(routes()).await;
    let reply = soon("a reply", server.exchange(GET_THINGS)).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\n[]"), "{reply}");
    let twice = format!("GET /panics HTTP/1.1\r\nHost: a\r\n\r\n{GET_THINGS}");
    let replies = soon("two replies", server.exchange(&twice)).await;
    assert!(replies.starts_with("HTTP/1.1 500 ") && replies.ends_with("[]"), "{replies}");
}

#[tokio::test]
async fn bytes_that_are_not_http_get_a_bare_400_and_do_no_harm() {
    let server = start(routes()).await;
    let long_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    for request in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &long_head] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        // The server may hang up before everything is sent.
        let _hung_up = stream.write_all(request.as_bytes()).await;
        let mut reply = Vec::new();
        let _hung_up = soon("an end", stream.read_to_end(&mut reply)).await;
        assert!(reply.is_empty() || reply.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&reply));
    }
    let reply = soon("a reply", server.exchange("not HTTP\r\n\r\n")).await;
    assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{reply}");
    let reply = soon("a reply", server.exchange(GET_THINGS)).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
}

#[tokio::test(start_paused = true)]
async fn unfinished_heads_and_idle_connections_time_out() {
    let server = start(routes()).await;
    let began = tokio::time::Instant::now();
    for unfinished in ["", "GET /things HTTP/1.1\r\nHost: a\r\n"] {
        let reply = server.exchange(unfinished).await;
        assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408 "), "{reply}");
    }
    let kept = server.exchange("GET /things HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(kept.ends_with("[]"), "{kept}");
    assert!(began.elapsed() < Duration::from_secs(60), "three such clients took {:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_loses_its_connection() {
    let (sending, dropped) = (CancellationToken::new(), CancellationToken::new());
    let handler = {
        let (sending, dropped) = (sending.clone(), dropped.clone());
        async move || {
            let guard = dropped.drop_guard();
            let chunks = futures_util::stream::repeat_with(move || {
                // Dropped with the stream when the server gives the connection up.
                let _guard = &guard;
                sending.cancel();
                Ok::<_, io::Error>(Bytes::from_static(&[b'x'; 64 * 1024]))
            });
            HttpBody::from_stream(chunks)
        }
    };
    let server = start(routes().route("/endless", get(handler))).await;
    let _client = server.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n").await;
    sending.cancelled().await;
    let began = tokio::time::Instant::now();
    dropped.cancelled().await;
    assert!((29..60).contains(&began.elapsed().as_secs()), "closed after {:?}", began.elapsed());
}

#[tokio::test]
async fn two_hundred_stalled_clients_delay_nobody() {
    let server = start(routes()).await;
    let mut unfinished = Vec::new();
    for number in 0..200 {
        unfinished.push(
            server
                .send(match number % 4 {
                    0 => "",
                    1 => "GET /things HTTP/1.1\r\nHost: a\r\n",
                    2 => "POST /things HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
                    _ => "GET /hangs HTTP/1.1\r\nHost: a\r\n\r\n",
                })
                .await,
        );
    }
    let all = async {
        for _ in 0..100 {
            let reply = server.exchange(GET_THINGS).await;
            assert!(reply.ends_with("[]"), "{reply}");
        }
    };
    // Less than any of the server's timeouts, so none of the stalled clients has made room.
    tokio::time::timeout(Duration::from_secs(8), all).await.unwrap();
    drop(unfinished);
}

#[tokio::test]
async fn stopping_completes_requests_in_flight_and_accepts_no_more() {
    let (begun, finish) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (begun, finish) = (begun.clone(), finish.clone());
        async move || {
            begun.notify_one();
            finish.notified().await;
            "finished"
        }
    };
    let server = start(routes().route("/slow", get(handler))).await;
    let idle = server.send("GET /things HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let in_flight = server.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon("the request", begun.notified()).await;
    server.stop.cancel();
    // Idle connections close at once, and new ones are refused.
    soon("the end of the idle connection", rest(idle)).await;
    soon("refusal", async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    assert!(!server.task.is_finished());
    finish.notify_one();
    let reply = soon("the reply", rest(in_flight)).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("finished"), "{reply}");
    soon("the server's end", server.task).await.unwrap();
}
