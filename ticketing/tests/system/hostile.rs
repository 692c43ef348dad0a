//! What no honest client would send. It is refused in the shape of all errors, and harms nobody.

use std::collections::HashSet;
use std::time::Duration;

use common::clock::{Clock, SystemClock};
use common::ids::UserId;
use common::session::Sessions;
use futures_util::future::{join, join_all};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use crate::support::{Answer, FieldError, LIMIT, PASSWORD, Raw, System, Ticket, User, in_time};

const NOT_JSON: &str = "Request body is not valid JSON";
const PRICE: &str = "Price must be greater than 0";

/// Fields of a body in their order, each with its message.
type Rules = &'static [(&'static str, &'static str)];

/// Every route that reads a body: method, path and rules.
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

/// Sends a body to each route that reads one.
async fn to_each_route(user: &User, content_type: &str, body: impl AsRef<[u8]>) -> Vec<Answer> {
    let calls = BODIES.map(|(method, path, _)| {
        let call = user.call(method.parse().unwrap(), path);
        call.body(content_type, body.as_ref().to_vec()).send()
    });
    join_all(calls).await
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let system = System::start().await;
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
        for answer in to_each_route(&ann, "application/json", body).await {
            answer.refuses(400, NOT_JSON);
        }
    }
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "", "json"] {
        for answer in to_each_route(&ann, content_type, r#"{"title": "Concert", "price": 20}"#).await {
            answer.refuses(415, "Expected application/json");
        }
    }
    ann.call(Method::POST, "/tickets").send().await.refuses(415, "Expected application/json");
    let welcome =
        ann.call(Method::POST, "/tickets").body("Application/JSON; charset=utf-8", r#"{"title": "A", "price": 1}"#);
    welcome.send().await.expect(201);
    // Who asks is known before what is asked.
    for answer in to_each_route(&system.nobody(), "text/plain", "{").await.split_off(2) {
        answer.refuses(401, "Not authorized");
    }
    system.assert_unharmed().await;
}

#[tokio::test]
async fn bodies_that_are_too_long_are_refused_in_words_the_client_can_read() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let titled = |length: usize| format!("{{\"title\": \"{}\", \"price\": 20}}", "x".repeat(length));
    for length in [102_401, 1 << 20] {
        for answer in to_each_route(&ann, "application/json", titled(length)).await {
            answer.refuses(413, "Payload Too Large");
        }
    }
    // Not too long, only too long for a title.
    let answer = ann.call(Method::POST, "/tickets").body("application/json", titled(100_000)).send().await;
    answer.refuses(400, "Title is required");

    // A megabyte is heard out, so the connection is as good as before.
    let head = format!(
        "POST /api/tickets HTTP/1.1\r\nHost: here\r\nCookie: session={}\r\nContent-Type: application/json\r\n",
        ann.token
    );
    let megabyte = vec![b'x'; 1 << 20];
    let mut client = Raw::connect(&system).await;
    client.send(format!("{head}Content-Length: {}\r\n\r\n", megabyte.len())).await;
    assert!(client.send(&megabyte).await);
    client.answer().await.expect("an answer").refuses(413);
    client.send("GET /api/tickets HTTP/1.1\r\nHost: here\r\n\r\n").await;
    assert_eq!(client.answer().await.expect("another answer").status, 200);

    // Still sending when it is refused: announced, in chunks, and without ever looking at the answer in between.
    let announced = format!("{head}Content-Length: {}\r\n\r\n", 20 << 20);
    let chunked = format!("{head}Transfer-Encoding: chunked\r\n\r\n");
    let chunk = [format!("{:x}\r\n", megabyte.len()).as_bytes(), &megabyte, b"\r\n"].concat();
    for (head, piece) in [(announced, &megabyte), (chunked, &chunk)] {
        let mut client = Raw::connect(&system).await;
        client.send(head).await;
        for _ in 0..20 {
            if !client.send(piece).await {
                break;
            }
        }
        client.answer().await.expect("an answer").refuses(413);
    }
    system.assert_unharmed().await;
}

#[tokio::test]
async fn fields_of_the_wrong_type_break_their_rules_all_at_once() {
    let system = System::start().await;
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
            let told: Vec<_> = call.send().await.expect(400).errors().into_iter().map(named).collect();
            let rules: Vec<_> = fields.iter().map(|(name, rule)| ((*rule).to_owned(), (*name).to_owned())).collect();
            assert_eq!(told, rules, "{method} {path} {}", &value[..value.len().min(40)]);
        }
    }
    for (method, path, fields) in BODIES {
        let told = ann.call(method.parse().unwrap(), path).body("application/json", "{}").send().await.expect(400);
        assert_eq!(told.errors().len(), fields.len(), "{told:?}");
    }
    for id in
        ["", "17", "0123456789abcdef0123456", "0123456789abcdef012345678", "0123456789abcdef0123456g", "../../etc"]
    {
        ann.ordering(id).send().await.refuses(400, "TicketId must be provided");
        ann.paying(id, "tok_visa").send().await.refuses(400, "OrderId must be provided");
    }
    for query in ["", "?orderId=", "?orderId=17", "?orderId=%ff", "?orderId[]=1"] {
        ann.get(&format!("/payments{query}")).send().await.refuses(400, "OrderId must be provided");
    }
    system.assert_unharmed().await;
}

fn named(error: FieldError) -> (String, String) {
    (error.message, error.field.expect("a field"))
}

#[tokio::test]
async fn texts_of_every_kind_come_back_as_they_were_sent() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let longest = "ü".repeat(200);
    let titles = [
        "'; DROP TABLE tickets; --",
        "<script>alert(1)</script>",
        "🎫 مرحبا \u{202e}",
        "\u{0}",
        "{{7*7}} %s $1",
        &longest,
    ];
    for title in titles {
        let ticket = ann.list_ticket(title, "20").await;
        assert_eq!(ticket.title, title);
        assert_eq!(ann.find_ticket(&ticket.id).await, ticket);
    }
    assert_eq!(ann.list_ticket("  Concert \n", "20").await.title, "Concert");
    for title in [" ", "\n\t ", &"x".repeat(201)] {
        ann.listing(title, "20").send().await.refuses(400, "Title is required");
    }
    assert_eq!(ann.all::<Ticket>("/tickets").await.len(), titles.len() + 1);

    let long_email = format!("{}@example.com", "a".repeat(50_000));
    for email in ["ann", "ann@", "@example.com", "ann@example.com, bob@example.com", "a b@example.com", &long_email] {
        let answer = ann.post("/users/signup", &json!({"email": email, "password": PASSWORD})).send().await;
        answer.refuses(400, "Email must be valid");
    }
    for password in ["seven77", "       1234567       ", &"x".repeat(129)] {
        let answer = ann.post("/users/signup", &json!({"email": "new@example.com", "password": password})).send().await;
        answer.refuses(400, "Password must be between 8 and 128 characters");
    }
    let answer = ann.post("/users/signin", &json!({"email": ann.email, "password": "x".repeat(90_000)})).send().await;
    answer.refuses(400, "Invalid credentials");
    let answer = ann.post("/users/signup", &json!({"email": "ANN@Example.COM", "password": PASSWORD})).send().await;
    answer.refuses(400, "Email in use");
    system.assert_unharmed().await;
}

#[tokio::test]
async fn prices_are_exact_to_the_cent_or_refused() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    for (price, comes_back) in [
        ("20", "20"),
        ("20.0", "20"),
        ("19.99", "19.99"),
        ("\"19.99\"", "19.99"),
        ("1.1", "1.1"),
        ("0.01", "0.01"),
        ("0.29", "0.29"),
        ("1.15", "1.15"),
        ("4.35", "4.35"),
        ("2e1", "20"),
        ("999999.99", "999999.99"),
        ("\"999999.99\"", "999999.99"),
    ] {
        let ticket = ann.list_ticket("Concert", price).await;
        assert_eq!(ticket.price.to_string(), comes_back);
        assert_eq!(ann.find_ticket(&ticket.id).await.price.to_string(), comes_back);
        let order = bob.order(&ticket).await;
        assert_eq!(order.ticket.price.to_string(), comes_back);
        bob.pay(&order, "tok_visa").await;
        assert_eq!(bob.sees_complete(&order).await.1.amount.to_string(), comes_back);
    }
    let refused = [
        "0",
        "0.0",
        "-0",
        "-1",
        "-0.01",
        "1e400",
        "-1e400",
        "1000000",
        "999999.991",
        "19.999",
        "0.001",
        "1e-3",
        "null",
        "\"abc\"",
        "\"\"",
        "\"NaN\"",
        "\"Infinity\"",
        "\"-1\"",
        "\"1e400\"",
        "\"0x10\"",
        "\"1,5\"",
        "\"$20\"",
        "\"20 \\u0000\"",
        "true",
        "[20]",
        "{\"cents\": 20}",
        "99999999999999999999999999999999999999",
    ];
    for price in refused {
        let answer = ann.listing("Concert", price).send().await.expect(400);
        let told: Vec<_> = answer.errors().into_iter().map(named).collect();
        assert_eq!(told, [(PRICE.to_owned(), "price".to_owned())], "{price}");
    }
    for no_json in ["NaN", "Infinity", "+20", "020", ".5", "5.", "0x10", "2e"] {
        ann.listing("Concert", no_json).send().await.refuses(400, NOT_JSON);
    }
    system.assert_unharmed().await;
}

#[tokio::test]
async fn unknown_routes_ids_and_methods_have_their_answers() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let ticket = ann.list_ticket("Concert", "20").await;
    let long = "a".repeat(8_000);
    let ids = [
        "17",
        "0123456789abcdef0123456",
        "0123456789abcdef0123456g",
        "%00",
        "%ff%fe",
        "..%2f..%2fetc",
        "%F0%9F%8E%AB",
        &long,
    ];
    for id in ids {
        ann.get(&format!("/tickets/{id}")).send().await.refuses(404, "Not Found");
        ann.editing(id, "Concert", "20").send().await.refuses(404, "Not Found");
        ann.get(&format!("/orders/{id}")).send().await.refuses(404, "Not Found");
        ann.cancelling(id).send().await.refuses(404, "Not Found");
        // The body is looked at first, and the session before it.
        ann.editing(id, "", "20").send().await.refuses(400, "Title is required");
        system.nobody().editing(id, "", "20").send().await.refuses(401, "Not authorized");
    }
    for path in ["", "/", "/nothing", "/tickets/", "/ticket", "/users", "/users/signup/", "/tickets/1/2", "//tickets"] {
        ann.get(path).send().await.refuses(404, "Not Found");
        ann.post(path, &json!({})).send().await.refuses(404, "Not Found");
    }
    let one = format!("/tickets/{}", ticket.id);
    for (method, path) in [
        ("GET", "/users/signup"),
        ("GET", "/users/signin"),
        ("GET", "/users/signout"),
        ("POST", "/users/currentuser"),
        ("DELETE", "/tickets"),
        ("PATCH", &one),
        ("POST", &one),
        ("OPTIONS", &one),
        ("BREW", "/tickets"),
        ("PUT", "/orders"),
        ("PATCH", "/orders/0123456789abcdef01234567"),
        ("DELETE", "/payments"),
    ] {
        ann.call(method.parse().unwrap(), path).send().await.refuses(405, "Method Not Allowed");
    }
    // Nor do they all become series of their own.
    let metrics = system.admin("/metrics").await.1;
    let routes: HashSet<&str> =
        metrics.lines().filter_map(|line| line.split("route=\"").nth(1)?.split('"').next()).collect();
    assert!(routes.contains("unmatched") && routes.contains("/api/tickets/{id}") && routes.len() < 12, "{routes:?}");
    // Its own name for a request is taken over when it is a sane one.
    let named = ann.get("/tickets").header("x-request-id", "trace-me.17").send().await;
    assert_eq!(named.header("x-request-id"), Some("trace-me.17"));
    let insane = ann.get("/tickets").header("x-request-id", "two words; <b>").send().await;
    assert_ne!(insane.header("x-request-id"), Some("two words; <b>"));
    system.assert_unharmed().await;
}

#[tokio::test]
async fn pages_that_make_no_sense_are_refused_and_others_hold_everything_once() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let mut tickets = Vec::new();
    for n in 0..7 {
        tickets.push(ann.list_ticket(&format!("Seat {n}"), "20").await);
    }
    tickets.reverse();
    for limit in 1..=8 {
        assert_eq!(ann.all::<Ticket>(&format!("/tickets?limit={limit}")).await, tickets);
    }
    let last_page = ann.get("/tickets?limit=7").send().await.expect(200);
    assert_eq!(last_page.next_page(), None);
    let after = format!("/tickets?after={}", tickets[4].id);
    assert_eq!(ann.all::<Ticket>(&after).await, tickets[5..]);
    assert_eq!(ann.all::<Ticket>("/tickets?after=000000000000000000000000").await, []);

    for path in ["/tickets", "/orders"] {
        for limit in ["0", "-1", "201", "1.5", "abc", "", "99999999999999999999999", "1e2", "%00"] {
            let told = ann.get(&format!("{path}?limit={limit}")).send().await.expect(400).errors();
            assert_eq!((told.len(), told[0].field.as_deref()), (1, Some("limit")), "{limit}");
        }
        for after in ["17", "", "0123456789abcdef0123456g", "%ff", "null"] {
            let told = ann.get(&format!("{path}?after={after}")).send().await.expect(400).errors();
            assert_eq!((told.len(), told[0].field.as_deref()), (1, Some("after")), "{after}");
        }
        let told = ann.get(&format!("{path}?after=17&limit=0")).send().await.expect(400).errors();
        assert_eq!(told.len(), 2, "{told:?}");
        ann.get(&format!("{path}?limit=1&limit=2")).send().await.expect(400);
        ann.get(&format!("{path}?unknown=1&limit=200")).send().await.expect(200);
    }
    system.assert_unharmed().await;
}

#[tokio::test]
async fn sessions_that_we_did_not_give_are_none() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let ticket = ann.list_ticket("Concert", "20").await;
    let key = std::fs::read_to_string(system.path("session-key")).unwrap();
    let ours = Sessions::new(&key.trim().into(), std::sync::Arc::new(SystemClock));
    let others =
        Sessions::new(&"another key, as long as ours would have to be".into(), std::sync::Arc::new(SystemClock));
    let id: UserId = ann.id.parse().unwrap();
    let hour = Duration::from_secs(3600);

    // That we can make a good one shows that the bad ones are bad for their own reasons.
    let good = ours.sign(id, &ann.email, hour).unwrap();
    ann.with_token(&good).get("/orders").send().await.expect(200);

    let [_, claims, signature] = parts(&good);
    let [_, _, foreign_signature] = parts(&others.sign(id, &ann.email, hour).unwrap());
    // {"alg":"none","typ":"JWT"}, {"alg":"None"}, {"alg":"HS512","typ":"JWT"}
    let [none, none_in_capitals, hs512] =
        ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJOb25lIn0", "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9"];
    let eternal = {
        // Sessions::new has installed what this needs. No `exp`.
        let claims = json!({"id": ann.id, "email": ann.email, "iat": SystemClock.now().as_secs()});
        let key = jsonwebtoken::EncodingKey::from_secret(key.trim().as_bytes());
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &claims, &key).unwrap()
    };
    let bad = [
        ours.sign(id, &ann.email, Duration::ZERO).unwrap(),
        others.sign(id, &ann.email, hour).unwrap(),
        eternal,
        format!("{none}.{claims}."),
        format!("{none}.{claims}"),
        format!("{none}.{claims}.{signature}"),
        format!("{none_in_capitals}.{claims}."),
        format!("{hs512}.{claims}.{signature}"),
        format!("{}.{claims}.{foreign_signature}", parts(&good)[0]),
        good[..good.len() - 1].to_owned(),
        good.replace('.', ""),
        "null".to_owned(),
        "..".to_owned(),
        "\u{1f36a}".to_owned(),
        "x".repeat(8_000),
    ];
    for token in &bad {
        let forger = ann.with_token(token);
        for call in [
            forger.listing("Concert", "20"),
            forger.editing(&ticket.id, "Mine", "1"),
            forger.ordering(&ticket.id),
            forger.get("/orders"),
            forger.get(&format!("/orders/{}", ticket.id)),
            forger.cancelling(&ticket.id),
            forger.paying(&ticket.id, "tok_visa"),
            forger.get(&format!("/payments?orderId={}", ticket.id)),
        ] {
            call.send().await.refuses(401, "Not authorized");
        }
        let nobody: Value = forger.get("/users/currentuser").send().await.expect(200).json();
        assert_eq!(nobody, json!({"currentUser": null}), "{token}");
        // What needs no session does not mind.
        forger.get("/tickets").send().await.expect(200);
        forger.post("/users/signout", &json!({})).send().await.expect(200);
    }
    system.assert_unharmed().await;
}

fn parts(token: &str) -> [String; 3] {
    let parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    parts.try_into().unwrap()
}

#[tokio::test]
async fn bytes_that_are_no_http_are_refused_or_hung_up_on() {
    let system = System::start().await;
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
        // A TLS greeting.
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
        let mut client = Raw::connect(&system).await;
        client.send(attack).await;
        client.finish().await;
        if let Some(answer) = client.answer().await {
            let sent = String::from_utf8_lossy(&attack[..attack.len().min(80)]);
            assert!((400..500).contains(&answer.status), "{sent:?} got {answer:?}");
            // The server refuses malformed requests without a body, before our middleware sees them.
            if !answer.body.is_empty() {
                answer.refuses(answer.status);
            }
        }
    }
    system.assert_unharmed().await;
}

fn within_a_second(began: Instant) -> Result<(), String> {
    let took = began.elapsed();
    if took < Duration::from_secs(1) { Ok(()) } else { Err(format!("took {took:?}")) }
}

#[tokio::test]
async fn a_flood_of_sign_ins_is_turned_away_in_time_and_nobody_else_waits() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let guess = json!({"email": ann.email, "password": "is it this one?"});
    let mut answers = Vec::new();
    in_time(async || {
        let flood = join_all((0..300).map(|_| ann.post("/users/signin", &guess).send()));
        let meanwhile = async {
            let began = Instant::now();
            ann.list_ticket("Concert", "20").await;
            ann.get("/tickets").send().await.expect(200);
            within_a_second(began)
        };
        let (flooded, undisturbed) = join(flood, meanwhile).await;
        answers.extend(flooded);
        undisturbed
    })
    .await;
    let (turned_away, answered): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 503);
    assert!(!turned_away.is_empty() && !answered.is_empty(), "{} were answered", answered.len());
    answered.iter().for_each(|answer| answer.refuses(400, "Invalid credentials"));
    turned_away.iter().for_each(|answer| assert!(answer.header("retry-after").is_some(), "{answer:?}"));
    ann.sign_in().await;
    system.assert_unharmed().await;
}

#[tokio::test]
async fn two_hundred_clients_that_never_finish_slow_nobody_and_are_hung_up_on() {
    let system = System::start().await;
    let ann = system.sign_up("ann").await;
    let head = "POST /api/users/signin HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n";
    let (mut in_the_head, mut in_the_body) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        let (mut one, mut other) = (Raw::connect(&system).await, Raw::connect(&system).await);
        assert!(one.send(head).await);
        assert!(other.send(format!("{head}Content-Length: 60\r\n\r\n{{\"email\": \"ann@")).await);
        in_the_head.push(one);
        in_the_body.push(other);
    }
    in_time(async || {
        let began = Instant::now();
        ann.get("/tickets").send().await.expect(200);
        ann.list_ticket("Concert", "20").await;
        ann.sign_in().await;
        within_a_second(began)
    })
    .await;

    // They are told so, or not, but not kept.
    let answers = join_all(in_the_body.iter_mut().map(Raw::answer)).await;
    answers.into_iter().for_each(|answer| answer.expect("an answer").refuses(408));
    let ends = join_all(in_the_head.iter_mut().map(Raw::read_to_end));
    timeout(LIMIT, ends).await.expect("the server hangs up");
    system.assert_unharmed().await;
}
