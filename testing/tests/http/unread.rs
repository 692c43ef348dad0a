//! Requests that are refused before their body is read.
//!
//! The connection must stay usable, or the response must announce its end. Otherwise the client's next request on it
//! fails.

use axum::Router;
use axum::routing::post;
use common::http::ApiError;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::client::{Client, GET_THINGS, Response, Server, start};

const JSON: &str = "Content-Type: application/json\r\n";

/// A request, and when it is refused.
struct Refusal {
    status: u16,
    request: &'static str,
    headers: &'static str,
    /// Whether the server reads the body first.
    is_read: bool,
}

/// One for each status. Bodies over the limit get a 413 instead of the 400 of those that are read.
const REFUSALS: [Refusal; 6] = [
    Refusal { status: 401, request: "POST /private", headers: JSON, is_read: false },
    Refusal { status: 404, request: "POST /nothing", headers: JSON, is_read: false },
    Refusal { status: 405, request: "DELETE /things", headers: JSON, is_read: false },
    Refusal { status: 415, request: "POST /things", headers: "Content-Type: text/plain\r\n", is_read: false },
    Refusal { status: 400, request: "POST /refused", headers: JSON, is_read: false },
    Refusal { status: 400, request: "POST /things", headers: JSON, is_read: true },
];

const LENGTHS: [usize; 3] = [2, 50_000, 101 * 1024];

fn routes() -> Router {
    crate::routes()
        .route("/private", post(async || ApiError::NotAuthorized))
        .route("/refused", post(async || ApiError::BadRequest("Not possible".into())))
}

impl Refusal {
    fn head(&self, headers: &str) -> String {
        format!("{} HTTP/1.1\r\nHost: a\r\n{}{headers}\r\n", self.request, self.headers)
    }

    /// Sends the request. Returns the connection after the refusal.
    async fn send(&self, server: &Server, head: &str, body: &[u8], in_two_packets: bool) -> (Client, Response) {
        let mut client = server.connect().await;
        let response = if !in_two_packets {
            client.send([head.as_bytes(), body].concat()).await;
            client.response().await
        } else if self.is_read {
            client.send(head).await;
            client.send(body).await;
            client.response().await
        } else {
            client.send(head).await;
            let response = client.response().await;
            // The server may have closed the connection if it has announced that.
            if response.closes {
                client.try_send(body).await
            } else {
                client.send(body).await
            }
            response
        };
        (client, response)
    }

    #[track_caller]
    fn check(&self, response: &Response, length: usize) {
        let status = if self.is_read && length > 100 * 1024 { 413 } else { self.status };
        assert_eq!(response.status, status, "{} with {length} bytes: {response:?}", self.request);
    }
}

#[tokio::test]
async fn a_refused_request_with_a_length_leaves_its_connection_usable() {
    let server = start(routes()).await;
    for refusal in &REFUSALS {
        for length in LENGTHS {
            for in_two_packets in [false, true] {
                let head = refusal.head(&format!("Content-Length: {length}\r\n"));
                let body = vec![b'{'; length];
                let (mut client, response) = refusal.send(&server, &head, &body, in_two_packets).await;
                refusal.check(&response, length);
                assert!(!response.closes, "{head} {response:?}");
                client.send(GET_THINGS).await;
                assert_eq!(client.response().await.body, "[]", "{head}");
            }
        }
    }
}

#[tokio::test]
async fn a_refused_chunked_request_leaves_its_connection_usable_or_announces_its_end() {
    let server = start(routes()).await;
    for refusal in &REFUSALS {
        for length in LENGTHS {
            for in_two_packets in [false, true] {
                let head = refusal.head("Transfer-Encoding: chunked\r\n");
                let body = [format!("{length:x}\r\n").as_bytes(), &vec![b'{'; length], b"\r\n0\r\n\r\n"].concat();
                let (mut client, response) = refusal.send(&server, &head, &body, in_two_packets).await;
                refusal.check(&response, length);
                if response.closes {
                    assert_eq!(client.rest().await, "", "{head}");
                } else {
                    client.send(GET_THINGS).await;
                    assert_eq!(client.response().await.body, "[]", "{head}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_the_client_offers_is_sent_if_it_is_read_and_otherwise_the_connection_ends() {
    let server = start(routes()).await;
    let cases = REFUSALS.iter().flat_map(|refusal| LENGTHS.map(|length| (refusal, length)));
    join_all(cases.map(|(refusal, length)| offer_body(&server, refusal, length))).await;
}

async fn offer_body(server: &Server, refusal: &Refusal, length: usize) {
    let head = refusal.head(&format!("Content-Length: {length}\r\nExpect: 100-continue\r\n"));
    let body = vec![b'{'; length];
    let mut client = server.send(&head).await;
    let response = client.response().await;
    if refusal.is_read {
        assert_eq!(response.status, 100, "{head}");
        client.send(&body).await;
        refusal.check(&client.response().await, length);
    } else {
        refusal.check(&response, length);
        assert!(response.closes, "{head}");
        assert_eq!(client.rest().await, "", "{head}");
    }

    // Some clients do not wait.
    let mut client = server.send(&head).await;
    client.try_send(&body).await;
    let mut response = client.response().await;
    if refusal.is_read && response.status == 100 {
        response = client.response().await;
    }
    refusal.check(&response, length);
}

#[tokio::test]
async fn a_body_too_long_to_discard_gets_a_response_that_announces_the_end() {
    let server = start(routes()).await;
    for refusal in &REFUSALS {
        let length = 6 << 20;
        let head = refusal.head(&format!("Content-Length: {length}\r\n"));
        let mut client = server.send(&head).await;
        client.try_send(vec![b'{'; length]).await;
        let response = client.response().await;
        refusal.check(&response, length);
        assert!(response.closes, "{head}");
    }
}

#[tokio::test]
async fn a_malformed_chunk_gets_a_response_that_announces_the_end() {
    let server = start(routes()).await;
    for refusal in &REFUSALS {
        let head = refusal.head("Transfer-Encoding: chunked\r\n");
        let mut client = server.send(&format!("{head}zz\r\n")).await;
        let response = client.response().await;
        refusal.check(&response, 0);
        assert!(response.closes, "{head}");
        client.rest_until_reset().await;
    }
}

#[tokio::test]
async fn a_body_that_a_successful_request_leaves_unread_is_discarded() {
    let server = start(routes()).await;
    let mut client = server.send("GET /things HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n").await;
    assert_eq!(client.response().await.body, "[]");
    client.send([b'x'; 50_000]).await;
    client.send(GET_THINGS).await;
    assert_eq!(client.response().await.body, "[]");
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_rest_of_a_body_times_out() {
    let server = start(routes()).await;
    for (refusal, refused_after, closed_after) in [(&REFUSALS[0], 0, 10), (&REFUSALS[5], 10, 11)] {
        let began = Instant::now();
        let head = refusal.head("Content-Length: 9\r\n");
        let mut client = server.send(&format!("{head}{{")).await;
        let response = client.response().await;
        assert_eq!(response.status, if refusal.is_read { 408 } else { 401 });
        assert_eq!(response.closes, refusal.is_read);
        assert_eq!(began.elapsed().as_secs(), refused_after);
        client.rest_until_reset().await;
        assert_eq!(began.elapsed().as_secs(), closed_after);
    }
}
