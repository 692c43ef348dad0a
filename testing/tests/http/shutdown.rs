//! Stopping the server.

use std::sync::Arc;
use std::time::Duration;

use axum::routing::get;
use testing::soon;
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::client::{GET_THINGS, start};
use crate::routes;

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
    let idle = server.send(GET_THINGS).await;
    let mut in_flight = server.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n").await;
    soon("the request", begun.notified()).await;
    server.stop.cancel();
    // Idle connections are closed, and new ones are refused.
    soon("the end of the idle connection", idle.rest()).await;
    soon("refusal", async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    assert!(!server.task.is_finished());
    finish.notify_one();
    let response = in_flight.response().await;
    assert_eq!((response.status, response.closes, &*response.body), (200, true, "finished"));
    assert_eq!(soon("the end", in_flight.rest()).await, "");
    soon("the server's end", server.task).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_on_an_idle_connection_is_answered_while_the_server_stops() {
    let server = start(routes()).await;
    let mut idle = server.send(GET_THINGS).await;
    assert!(!idle.response().await.closes);
    let unused = server.connect().await;
    server.stop.cancel();
    // The server runs on this thread, so by now it knows.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    idle.send(GET_THINGS).await;
    let response = idle.response().await;
    assert_eq!((response.status, response.closes, &*response.body), (200, true, "[]"));
    assert_eq!(idle.rest().await, "");
    assert_eq!(unused.rest().await, "");
    server.task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_without_connections_stops_at_once() {
    let server = start(routes()).await;
    let began = Instant::now();
    assert!(server.send(GET_THINGS).await.response().await.status == 200);
    server.stop.cancel();
    server.task.await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(500), "{:?}", began.elapsed());
}
