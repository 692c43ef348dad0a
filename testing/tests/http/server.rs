//! The server: connections, and bytes that are not HTTP.

use testing::soon;

use crate::client::start;
use crate::routes;

const GET_THINGS_ONCE: &str = "GET /things HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_connection_serves_further_requests_after_a_failure() {
    let server = start(routes()).await;
    let reply = soon("a reply", server.exchange(GET_THINGS_ONCE)).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n") && reply.ends_with("\r\n\r\n[]"), "{reply}");
    let twice = format!("GET /panics HTTP/1.1\r\nHost: a\r\n\r\n{GET_THINGS_ONCE}");
    let replies = soon("two replies", server.exchange(&twice)).await;
    assert!(replies.starts_with("HTTP/1.1 500 ") && replies.ends_with("[]"), "{replies}");
}

#[tokio::test]
async fn bytes_that_are_not_http_get_a_bare_400_and_do_no_harm() {
    let server = start(routes()).await;
    let long_head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    for request in ["\0\0\0\0\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", &long_head] {
        let mut client = server.connect().await;
        // The server may hang up before everything is sent.
        client.try_send(request).await;
        let reply = soon("an end", client.rest_until_reset()).await;
        assert!(reply.is_empty() || reply.starts_with(b"HTTP/1.1 4"), "{}", String::from_utf8_lossy(&reply));
    }
    let reply = soon("a reply", server.exchange("not HTTP\r\n\r\n")).await;
    assert!(reply.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{reply}");
    let reply = soon("a reply", server.exchange(GET_THINGS_ONCE)).await;
    assert!(reply.starts_with("HTTP/1.1 200 OK\r\n"), "{reply}");
}
