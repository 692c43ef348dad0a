//! Clients that stall.

use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::routing::get;
use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::client::{Client, GET_THINGS, start};
use crate::routes;

/// The seconds in which a connection may be closed after it became idle.
const IDLE: RangeInclusive<u64> = 75..=76;

/// The seconds in which a connection may be closed after a head began.
const HEAD: RangeInclusive<u64> = 15..=16;

const UNFINISHED_HEAD: &str = "GET /things HTTP/1.1\r\nHost: a\r\n";

/// Advances the paused clock once the server is idle.
async fn pass(time: Duration) {
    sleep(time).await;
}

/// Waits until the server closes the connection. Returns how many seconds that took.
async fn closed(client: Client) -> u64 {
    let began = Instant::now();
    let reply = client.rest().await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 408 "), "{reply}");
    began.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn idle_connections_time_out_after_75_seconds() {
    let server = start(routes()).await;
    let unused = closed(server.connect().await).await;
    assert!(IDLE.contains(&unused), "closed after {unused} s");
    let mut used = server.send(GET_THINGS).await;
    assert_eq!(used.response().await.body, "[]");
    let used = closed(used).await;
    assert!(IDLE.contains(&used), "closed after {used} s");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_serves_further_requests_for_75_seconds() {
    let server = start(routes()).await;
    let mut client = server.connect().await;
    for _ in 0..3 {
        pass(Duration::from_secs(74)).await;
        client.send(GET_THINGS).await;
        assert_eq!(client.response().await.body, "[]");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_head_times_out_after_15_seconds() {
    let server = start(routes()).await;
    let mut first = server.connect().await;
    pass(Duration::from_secs(50)).await;
    first.send(UNFINISHED_HEAD).await;
    let first = closed(first).await;
    assert!(HEAD.contains(&first), "closed after {first} s");
    let mut second = server.send(GET_THINGS).await;
    assert_eq!(second.response().await.body, "[]");
    second.send(UNFINISHED_HEAD).await;
    let second = closed(second).await;
    assert!(HEAD.contains(&second), "closed after {second} s");
}

#[tokio::test(start_paused = true)]
async fn a_head_that_drips_in_times_out_after_15_seconds() {
    let server = start(routes()).await;
    let mut client = server.send(UNFINISHED_HEAD).await;
    for _ in 0..7 {
        pass(Duration::from_secs(2)).await;
        client.send("X: x\r\n").await;
    }
    let after = 14 + closed(client).await;
    assert!(HEAD.contains(&after), "closed after {after} s");
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
    let began = Instant::now();
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
            let reply = server.send(GET_THINGS).await.response().await;
            assert_eq!(reply.body, "[]");
        }
    };
    // Less than any of the server's timeouts, so none of the stalled clients has made room.
    tokio::time::timeout(Duration::from_secs(8), all).await.unwrap();
    drop(unfinished);
}
