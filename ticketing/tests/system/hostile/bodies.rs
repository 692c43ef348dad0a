//! Request bodies that are malformed, too long or of the wrong types.

use futures_util::future::join_all;
use reqwest::Method;
use testing::system::{RawConnection, Reply, User};

use crate::binary::start;

const NOT_JSON: &str = "Request body is not valid JSON";
const PRICE: &str = "Price must be greater than 0";

/// The fields of a body in their order, each with the message of its rule.
type Rules = &'static [(&'static str, &'static str)];

/// Every route that reads a body: method, path and fields.
const BODIES: [(&str, &str, Rules); 6] = [
    (
        "POST",
        "/users/signup",
        &[("email", "Email must be valid"), ("password", "Password must be between 8 and 128 characters")],
    ),
    ("POST", "/users/signin", &[("email", "Email must be valid"), ("password", "You must supply a password")]),
    ("POST", "/tickets", &[("title", "Title is required"), ("price", PRICE)]),
    ("PUT", "/tickets/0123456789abcdef01234567", &[("title", "Title is required"), ("price", PRICE)]),
    ("POST", "/orders", &[("ticketId", "TicketId must be provided")]),
    ("POST", "/payments", &[("token", "Token must be provided"), ("orderId", "OrderId must be provided")]),
];

/// Sends a body to every route that reads one.
async fn post_everywhere(user: &User, content_type: &str, body: impl AsRef<[u8]>) -> Vec<Reply> {
    let calls = BODIES.map(|(method, path, _)| {
        let call = user.call(method.parse().unwrap(), path);
        call.body(content_type, body.as_ref().to_vec()).send()
    });
    join_all(calls).await
}

#[tokio::test]
async fn a_body_that_is_not_a_json_object_is_rejected() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let deep = "[".repeat(100_000);
    let deep_object = r#"{"a":"#.repeat(20_000);
    let closed = format!("{}{}", "[".repeat(50_000), "]".repeat(50_000));
    let bodies: [&[u8]; 17] = [
        b"",
        b"{",
        b"}",
        b"null",
        b"true",
        b"17",
        b"\"title\"",
        b"[]",
        br#"[{"title": "Concert", "price": 20}]"#,
        br#"{"title": "Concert", "price": 20,}"#,
        br#"{"title": "Concert", "price": 20} {}"#,
        br#"{title: "Concert"}"#,
        b"title=Concert&price=20",
        b"{\"title\": \"\xff\xfe\", \"price\": 20}",
        deep.as_bytes(),
        deep_object.as_bytes(),
        closed.as_bytes(),
    ];
    for body in bodies {
        for reply in post_everywhere(&ann, "application/json", body).await {
            reply.expect_error(400, NOT_JSON);
        }
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "json"] {
        for reply in post_everywhere(&ann, content_type, r#"{"title": "Concert", "price": 20}"#).await {
            reply.expect_error(415, "Expected application/json");
        }
    }
    ann.call(Method::POST, "/tickets").send().await.expect_error(415, "Expected application/json");
    let valid =
        ann.call(Method::POST, "/tickets").body("Application/JSON; charset=utf-8", r#"{"title": "A", "price": 1}"#);
    valid.send().await.expect(201);
    // The session is checked before the body.
    for reply in post_everywhere(&system.visitor(), "text/plain", "{").await.split_off(2) {
        reply.expect_error(401, "Not authorized");
    }
    system.assert_healthy().await;
}

#[tokio::test]
async fn a_body_that_is_too_long_gets_a_readable_413() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let titled = |length: usize| format!("{{\"title\": \"{}\", \"price\": 20}}", "x".repeat(length));
    for length in [102_401, 1 << 20] {
        for reply in post_everywhere(&ann, "application/json", titled(length)).await {
            reply.expect_error(413, "Payload Too Large");
        }
    }
    // Short enough for a body, but too long for a title.
    let reply = ann.call(Method::POST, "/tickets").body("application/json", titled(100_000)).send().await;
    reply.expect_error(400, "Title is required");

    // The server reads a whole megabyte, so the connection stays usable.
    let head = format!(
        "POST /api/tickets HTTP/1.1\r\nHost: here\r\nCookie: session={}\r\nContent-Type: application/json\r\n",
        ann.token
    );
    let megabyte = vec![b'x'; 1 << 20];
    let mut client = RawConnection::open(system.address()).await;
    client.send(format!("{head}Content-Length: {}\r\n\r\n", megabyte.len())).await;
    assert!(client.send(&megabyte).await);
    client.reply().await.expect("a reply").expect_error(413);
    client.send("GET /api/tickets HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert_eq!(client.reply().await.expect("another reply").status, 200);

    // Clients that keep sending without reading the reply, with a length and in chunks.
    let announced = format!("{head}Content-Length: {}\r\n\r\n", 20 << 20);
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let chunk = [format!("{:x}\r\n", megabyte.len()).as_bytes(), &megabyte, b"\r\n"].concat();
    for (head, piece) in [(announced, &megabyte), (chunked, &chunk)] {
        let mut client = RawConnection::open(system.address()).await;
        client.send(head).await;
        for _ in 0..20 {
            if !client.send(piece).await {
                break;
            }
        }
        client.reply().await.expect("a reply").expect_error(413);
    }
    system.assert_healthy().await;
}

#[tokio::test]
async fn all_fields_of_the_wrong_type_are_reported_together() {
    let system = start().await;
    let ann = system.sign_up("ann").await;
    let huge = "9".repeat(10_000);
    let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    let values = [
        "null",
        "true",
        "[]",
        "{}",
        "[\"a\"]",
        "-1",
        "\"\"",
        "0.0",
        "1e999999999",
        "-1e400",
        &huge,
        &nested,
        "\"\\ud800\"",
        "{\"$gt\": \"\"}",
    ];
    for value in values {
        for (method, path, fields) in BODIES {
            let body = fields.iter().map(|(name, _)| format!("\"{name}\": {value}")).collect::<Vec<_>>().join(", ");
            let call = ann.call(method.parse().unwrap(), path).body("application/json", format!("{{{body}}}"));
            let errors = call.send().await.expect(400).field_errors();
            let rules: Vec<_> = fields.iter().map(|(name, rule)| ((*name).to_owned(), (*rule).to_owned())).collect();
            assert_eq!(errors, rules, "{method} {path} {}", &value[..value.len().min(40)]);
        }
    }
    for (method, path, fields) in BODIES {
        let reply = ann.call(method.parse().unwrap(), path).body("application/json", "{}").send().await.expect(400);
        assert_eq!(reply.errors().len(), fields.len(), "{reply:?}");
    }
    for id in
        ["", "17", "0123456789abcdef0123456", "0123456789abcdef012345678", "0123456789abcdef0123456g", "../../etc"]
    {
        ann.post_order(id).send().await.expect_error(400, "TicketId must be provided");
        ann.post_payment(id, "tok_visa").send().await.expect_error(400, "OrderId must be provided");
    }
    for query in ["", "?orderId=", "?orderId=17", "?orderId=%ff", "?orderId[]=1"] {
        ann.get(&format!("/payments{query}")).send().await.expect_error(400, "OrderId must be provided");
    }
    system.assert_healthy().await;
}
