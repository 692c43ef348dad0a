//! The access log, and the log of failed requests.
//!
//! Alone in its binary: if tests on other threads reached the same log statements first, while there is no log, they
//! could disable them for all.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use common::http::ApiError;
use common::service::Service;
use serde_json::{Value, json};
use testing::TestApp;

fn service() -> TestApp {
    let routes = Router::new()
        .route("/things", get(async || axum::Json(json!([]))))
        .route("/panics", get(panics))
        .route("/fails", post(async || Err::<(), _>(ApiError::internal(cause()))))
        .route("/down", post(async || Err::<(), _>(ApiError::unavailable(cause()))))
        .route("/hangs", get(async || std::future::pending::<()>().await));
    TestApp::new(Service::new("things").routes(routes), None)
}

async fn panics() {
    panic!("the secret inside");
}

fn cause() -> anyhow::Error {
    anyhow::anyhow!("the secret inside").context("disk full").context("could not write")
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
