use testing::soon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{AUTHORISATION, Stripe};

/// Sends a request on a connection of its own and returns all that comes back.
async fn exchange(address: std::net::SocketAddr, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    let request = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: Bearer sk_test_1\r\n\
         content-type: application/x-www-form-urlencoded\r\nidempotency-key: k\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("a connection");
    let mut response = Vec::new();
    // A reset connection ends the response too.
    let _reset = soon("the end of the response", stream.read_to_end(&mut response)).await;
    String::from_utf8(response).expect("text")
}

#[tokio::test]
async fn a_broken_connection_ends_before_the_body() {
    let stripe = Stripe::new();
    let address = stripe_simulator::start(&stripe.database, ([127, 0, 0, 1], 0).into()).await.unwrap();
    let create = "POST /v1/payment_intents";
    for fault in ["closed", "lostResponse"] {
        let rule = format!(r#"{{"operation": "create", "fault": "{fault}"}}"#);
        assert!(exchange(address, "POST /_simulator/faults", &rule).await.starts_with("HTTP/1.1 200"));
        let response = exchange(address, create, AUTHORISATION).await;
        assert!(!response.contains('{'), "{response}");
    }
    let retry = exchange(address, create, AUTHORISATION).await;
    assert!(retry.contains("idempotent-replayed: true"), "{retry}");
}
