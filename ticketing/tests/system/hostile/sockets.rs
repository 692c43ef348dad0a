//! Bytes that are not HTTP.

use testing::system::RawConnection;

use crate::binary::start;

#[tokio::test]
async fn malformed_http_gets_a_4xx_or_a_closed_connection() {
    let system = start().await;
    let long_header = format!("GET /api/tickets HTTP/1.1\r\nHost: here\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    let many_headers = format!("GET /api/tickets HTTP/1.1\r\nHost: here\r\n{}\r\n", "X-Many: 1\r\n".repeat(5_000));
    let long_path = format!("GET /api/{} HTTP/1.1\r\nHost: here\r\n\r\n", "x".repeat(100_000));
    let post = "POST /api/users/signin HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n";
    let [two_lengths, negative_length, vast_length, bad_chunk, vast_chunk, both_lengths] = [
        "Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}",
        "Content-Length: -1\r\n\r\n{}",
        "Content-Length: 99999999999999999999\r\n\r\n{}",
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        "Transfer-Encoding: identity\r\nContent-Length: 2\r\n\r\n{}",
    ]
    .map(|rest| format!("{post}{rest}"));
    let attacks: [&[u8]; 20] = [
        b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        // A TLS handshake.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\xde\xad\xbe\xef",
        b"\xff\xfe\xfd\xfc\xfb\xfa\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /api/tickets\r\n\r\n",
        b"GET /api/tickets HTTP/7.5\r\n\r\n",
        b"GET /api/tickets HTTP/1.1\r\nno colon here\r\n\r\n",
        b"GET /api/tickets HTTP/1.1\r\nX-\x00: 1\r\n\r\n",
        b"GET /api/\x01\x02 HTTP/1.1\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        long_header.as_bytes(),
        many_headers.as_bytes(),
        long_path.as_bytes(),
        two_lengths.as_bytes(),
        negative_length.as_bytes(),
        vast_length.as_bytes(),
        bad_chunk.as_bytes(),
        vast_chunk.as_bytes(),
        both_lengths.as_bytes(),
    ];
    for attack in attacks {
        let mut client = RawConnection::open(system.address()).await;
        client.send(attack).await;
        client.finish().await;
        if let Some(reply) = client.reply().await {
            let sent = String::from_utf8_lossy(&attack[..attack.len().min(80)]);
            assert!((400..500).contains(&reply.status), "{sent:?} got {reply:?}");
            // The HTTP library rejects malformed input before there is a request, with an empty body.
            if !reply.body.is_empty() {
                reply.expect_error(reply.status);
            }
        }
    }
    system.assert_healthy().await;
}
