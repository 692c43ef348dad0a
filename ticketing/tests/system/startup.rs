//! Starting, stopping, and what is left on the way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::{PASSWORD, Raw, Setup, System, Ticket, run, wait_until};

/// What the binary promises to have ended within after SIGTERM.
const TEN_SECONDS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn it_is_ready_when_it_says_so_and_says_where() {
    let system = System::start().await;
    system.nobody().get("/tickets").send().await.expect(200);
    assert_eq!(system.admin("/healthz/live").await.0, 200);
    assert_eq!(system.admin("/healthz/ready").await.0, 200);

    wait_until("the last start-up line is written", async || {
        system.output().contains(&format!("curl -s {}/tickets", system.api())).then_some(())
    })
    .await;
    let said = system.output();
    assert!(said.contains("no real money moves"), "{said}");
    assert!(said.contains(system.directory().to_str().unwrap()), "{said}");
}

#[tokio::test]
async fn what_it_counts_can_be_read_on_the_admin_port() {
    let system = Setup::default().set("ORDER_EXPIRATION_SECONDS", "1").start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.list_ticket("Concert", "20").await).await;
    bob.pay(&order, "tok_visa").await;
    bob.sees_complete(&order).await;
    bob.order(&ann.list_ticket("Opera", "20").await).await;
    // The last of what follows from an order that nobody pays for.
    system.handled("payments_order-cancelled", 1).await;
    let (status, metrics) = system.admin("/metrics").await;
    assert_eq!(status, 200);
    for series in [
        "http_requests_total{method=\"POST\",route=\"/api/orders\",status=\"201\"} 2",
        "http_request_duration_seconds_bucket{method=\"POST\",route=\"/api/orders\",status=\"201\",le=\"+Inf\"} 2",
        "events_published_total{subject=\"order:created\"} 2",
        "events_published_total{subject=\"expiration:complete\"} 1",
        "events_handled_total{listener=\"tickets_order-created\"} 2",
        "outbox_oldest_seconds{service=\"orders\"} ",
        "jobs_due 0",
        "jobs_lateness_seconds_count 1",
        "jobs_fired_total 1",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(series)), "{series}: {metrics}");
    }
    assert!(!metrics.contains("events_dead_lettered_total"), "{metrics}");
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_stops_and_says_why() {
    let system = System::start().await;
    let (succeeded, said) = run(&mut Setup::default().command(system.directory())).await;
    assert!(!succeeded);
    let directory = system.directory().to_str().unwrap();
    assert!(said.contains(directory) && said.contains("another process"), "{said}");
    system.assert_unharmed().await;
}

#[tokio::test]
async fn a_bad_setting_stops_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    let no_directory = file.path().to_str().unwrap();
    let mut untold = Vec::new();
    for (variable, value) in [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", ""),
        ("PORT", &taken),
        ("ADMIN_PORT", "http"),
        ("ADMIN_PORT", &taken),
        ("ORDER_EXPIRATION_SECONDS", "soon"),
        ("ORDER_EXPIRATION_SECONDS", "-1"),
        ("ORDER_EXPIRATION_SECONDS", "0"),
        ("ORDER_EXPIRATION_SECONDS", "99999999999999999999"),
        ("JWT_KEY", " "),
        ("SESSION_HOURS", "day"),
        ("SESSION_HOURS", "0"),
        ("COOKIE_SECURE", "perhaps"),
        ("STRIPE_API_BASE", "not a url"),
        ("RUST_LOG", "orders=loud"),
        ("LOG_FORMAT", "xml"),
        ("DATA_DIR", no_directory),
    ] {
        let data = TempDir::new().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ticketing"));
        command.env_clear().env("PORT", "0").env("ADMIN_PORT", "0").env("DATA_DIR", data.path());
        // A key, so that what goes with one is looked at.
        command.env("STRIPE_KEY", "sk_test_17").env(variable, value);
        let (succeeded, said) = run(&mut command).await;
        if succeeded || !said.contains(variable) {
            untold.push(format!("{variable}={value}: {said}"));
        }
    }
    assert!(untold.is_empty(), "{}", untold.join("\n"));
}

#[tokio::test]
async fn the_help_names_every_variable_and_flag() {
    let (succeeded, said) = run(Command::new(env!("CARGO_BIN_EXE_ticketing")).arg("--help").env_clear()).await;
    assert!(succeeded);
    for variable in [
        "PORT",
        "ADMIN_PORT",
        "DATA_DIR",
        "JWT_KEY",
        "SESSION_HOURS",
        "COOKIE_SECURE",
        "ORDER_EXPIRATION_SECONDS",
        "STRIPE_KEY",
        "STRIPE_API_BASE",
        "RUST_LOG",
        "LOG_FORMAT",
    ] {
        assert!(said.contains(&format!("[env: {variable}")), "{variable}: {said}");
        let flag = format!("--{}", variable.to_lowercase().replace('_', "-"));
        assert!(said.contains(&flag), "{flag}: {said}");
    }
}

#[tokio::test]
async fn sessions_survive_a_restart_and_their_key_is_ours_alone() {
    let mut system = System::start().await;
    let ann = system.sign_up("ann").await;
    let key = system.path("session-key");
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);
    let before = fs::read(&key).unwrap();
    assert!(before.len() >= 32, "too short a key");

    system.stop().await;
    system.restart().await;
    let ann = system.again(&ann);
    let current: Value = ann.get("/users/currentuser").send().await.expect(200).json();
    assert_eq!((&current["currentUser"]["id"], &current["currentUser"]["email"]), (&json!(ann.id), &json!(ann.email)));
    assert_eq!(fs::read(&key).unwrap(), before);

    let other = System::start().await;
    assert_ne!(fs::read(other.path("session-key")).unwrap(), before, "each has a key of its own");
}

#[tokio::test]
async fn the_cookie_is_for_http_unless_told_otherwise() {
    for (setup, secure) in [(Setup::default(), false), (Setup::default().set("COOKIE_SECURE", "true"), true)] {
        let system = setup.set("SESSION_HOURS", "2").start().await;
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let answer = system.nobody().post("/users/signup", &body).send().await.expect(201);
        let attributes: Vec<&str> = answer.header("set-cookie").unwrap().split("; ").skip(1).collect();
        for expected in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=7200"] {
            assert!(attributes.contains(&expected), "{attributes:?}");
        }
        assert_eq!(attributes.contains(&"Secure"), secure, "{attributes:?}");
    }
}

#[tokio::test]
async fn a_request_that_has_begun_when_the_signal_comes_is_answered() {
    let mut system = System::start().await;
    let ann = system.sign_up("ann").await;
    let body = json!({"title": "Under way", "price": 20}).to_string();
    let head = format!(
        "POST /api/tickets HTTP/1.1\r\nHost: here\r\nCookie: session={}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        ann.token,
        body.len()
    );
    let mut slow = Raw::connect(&system).await;
    slow.send(head).await;
    // Load from others, on connections that they would like to keep.
    let load = join_all((0..8).map(|_| async {
        let mut listed = Vec::new();
        while let Some(answer) = ann.listing("Concert", "20").attempt().await {
            listed.push(answer.expect(201).json::<Ticket>());
        }
        listed
    }));
    let stop = async {
        wait_until("there is load", async || (ann.all::<Ticket>("/tickets").await.len() > 50).then_some(())).await;
        let began = Instant::now();
        system.signal("TERM");
        wait_until("it is stopping", async || system.output().contains("stopping").then_some(())).await;
        slow.send(body).await;
        (slow.answer().await.expect("an answer"), began)
    };
    let (listed, (answer, began)) = futures_util::future::join(load, stop).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let status = system.ended_within(TEN_SECONDS.saturating_sub(began.elapsed())).await;
    assert_eq!(status.code(), Some(0), "{}", system.output());
    assert!(system.output().contains("stopped"));

    system.restart().await;
    let ann = system.again(&ann);
    for ticket in listed.into_iter().flatten().take(200) {
        assert_eq!(ann.find_ticket(&ticket.id).await, ticket);
    }
    let kept: Ticket = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(ann.find_ticket(&kept.id).await.title, "Under way");
    system.agrees().await;
}

#[tokio::test]
async fn clients_that_never_finish_delay_the_end_no_longer_than_promised() {
    let mut system = System::start().await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut client = Raw::connect(&system).await;
        client.send("POST /api/users/signin HTTP/1.1\r\nHost: here\r\n").await;
        slow.push(client);
    }
    system.nobody().get("/tickets").send().await.expect(200);
    system.signal("TERM");
    system.ended_within(TEN_SECONDS).await;
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let mut system = System::start().await;
    let mut slow = Raw::connect(&system).await;
    let head =
        "POST /api/users/signin HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{";
    slow.send(head).await;
    // Whatever is sent first is read first.
    system.nobody().get("/tickets").send().await.expect(200);
    system.signal("TERM");
    wait_until("it is stopping", async || system.output().contains("stopping").then_some(())).await;
    system.signal("INT");
    // Far below what it would leave the slow one otherwise.
    system.ended_within(Duration::from_secs(4)).await;
}

#[tokio::test]
async fn no_secret_is_logged() {
    let mut system = Setup::default().set("RUST_LOG", "debug").start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await.sign_in().await);
    let order = bob.order(&ann.list_ticket("Concert", "20").await).await;
    bob.paying(&order.id, "tok_chargeDeclined").send().await.expect(402);
    bob.pay(&order, "tok_visa").await;
    bob.sees_complete(&order).await;
    bob.get("/tickets?card=4000056655665556").send().await.expect(200);
    let mistyped = json!({"email": ann.email, "password": "my other password"});
    ann.post("/users/signin", &mistyped).send().await.expect(400);
    ann.post("/users/signin", &json!({"email": "swapped password", "password": ann.email})).send().await.expect(400);
    system.stop().await;

    let key = fs::read_to_string(system.path("session-key")).unwrap();
    let output = system.output();
    assert!(output.contains(" DEBUG ") && output.contains("/api/payments"), "{output}");
    for secret in [
        key.trim(),
        &ann.token,
        &bob.token,
        PASSWORD,
        "my other password",
        "swapped password",
        "$argon2",
        "tok_visa",
        "tok_chargeDeclined",
        "4000056655665556",
    ] {
        let telling = output.lines().find(|line| line.contains(secret));
        assert_eq!(telling, None, "{secret}");
    }
}

#[tokio::test]
async fn with_nothing_to_do_it_uses_no_processor_time() {
    let system = System::start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let waiting = bob.order(&ann.list_ticket("Concert", "20").await).await;
    let sold = bob.order(&ann.list_ticket("Opera", "20").await).await;
    bob.pay(&sold, "tok_visa").await;
    bob.sees_complete(&sold).await;
    system.agrees().await;
    assert_eq!(bob.find_order(&waiting.id).await.status, "created");

    let before = system.cpu_ticks();
    // Time is what is measured against here.
    sleep(Duration::from_secs(3)).await;
    let used = system.cpu_ticks() - before;
    assert!(used <= 3, "{used} ticks in three idle seconds");
}
