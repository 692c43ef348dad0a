//! Starting, and what runs from then on.

use std::fs::{self, Permissions};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use testing::system::{PASSWORD, run};
use testing::wait_until;
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::binary::{BINARY, setup, start};
use crate::databases::wait_until_consistent;

#[tokio::test]
async fn the_banner_appears_once_the_system_is_ready_and_shows_its_addresses() {
    let system = start().await;
    system.visitor().get("/tickets").send().await.expect(200);
    assert_eq!(system.admin("/healthz/live").await.0, 200);
    assert_eq!(system.admin("/healthz/ready").await.0, 200);

    wait_until("the banner is complete", async || {
        system.output().contains(&format!("curl -s {}/tickets", system.api())).then_some(())
    })
    .await;
    let output = system.output();
    assert!(output.contains("no real money moves"), "{output}");
    assert!(output.contains(system.directory().to_str().unwrap()), "{output}");
}

#[tokio::test]
async fn the_admin_port_serves_metrics_of_requests_events_and_jobs() {
    let system = setup().set("ORDER_EXPIRATION_SECONDS", "1").start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let order = bob.order(&ann.create_ticket("Concert", "20").await).await;
    bob.pay(&order, "tok_visa").await;
    bob.wait_until_complete(&order).await;
    bob.order(&ann.create_ticket("Opera", "20").await).await;
    // The last event that follows from an expired order.
    system.wait_until_handled("payments_order-cancelled", 1).await;
    let (status, metrics) = system.admin("/metrics").await;
    assert_eq!(status, 200);
    for series in [
        "http_requests_total{method=\"POST\",route=\"/api/orders\",status=\"201\"} 2",
        "http_request_duration_seconds_bucket{method=\"POST\",route=\"/api/orders\",status=\"201\",le=\"+Inf\"} 2",
        "events_published_total{subject=\"order:created\"} 2",
        "events_published_total{subject=\"expiration:complete\"} 1",
        "events_handled_total{listener=\"tickets_order-created\"} 2",
        "outbox_oldest_seconds{service=\"orders\"} ",
        "bus_up 1",
        "jobs_due 0",
        "jobs_lateness_seconds_count 1",
        "jobs_fired_total 1",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(series)), "{series}: {metrics}");
    }
    assert!(!metrics.contains("events_dead_lettered_total"), "{metrics}");
}

#[tokio::test]
async fn a_second_process_on_the_same_directory_fails_to_start() {
    let system = start().await;
    let second = setup().set("RUST_BACKTRACE", "1");
    let (succeeded, output) = run(&mut second.command(system.directory())).await;
    assert!(!succeeded);
    assert!(output.starts_with("error: ") && output.lines().count() == 1, "{output}");
    let directory = system.directory().to_str().unwrap();
    assert!(output.contains(directory) && output.contains("another process"), "{output}");
    system.assert_healthy().await;
}

#[tokio::test]
async fn the_system_listens_on_loopback_by_default_and_otherwise_on_host() {
    let everywhere = IpAddr::from([0, 0, 0, 0]);
    // Another address of the loopback interface.
    let other = IpAddr::from([127, 0, 0, 2]);
    for (setup, host, answers_on_other) in [
        (setup(), Ipv4Addr::LOCALHOST.into(), false),
        (setup().set("HOST", "127.0.0.2"), other, true),
        (setup().set("HOST", "0.0.0.0"), everywhere, true),
    ] {
        let system = setup.start().await;
        for address in [system.address(), system.admin_address()] {
            assert_eq!(address.ip(), host, "{}", system.output());
            let connected = TcpStream::connect((other, address.port())).await;
            assert_eq!(connected.is_ok(), answers_on_other, "{address}");
        }
        system.visitor().get("/tickets").send().await.expect(200);
        assert_eq!(system.admin("/healthz/ready").await.0, 200);
    }
}

#[tokio::test]
async fn an_existing_data_directory_that_others_can_access_becomes_private() {
    let directory = TempDir::new().unwrap();
    set_mode(directory.path(), 0o755);
    let mut system = setup().start_on(directory).await;
    assert_eq!(mode(system.directory()), 0o700);
    assert!(system.output().contains("other users could access the data directory"), "{}", system.output());

    system.stop().await;
    set_mode(system.directory(), 0o710);
    system.restart().await;
    assert_eq!(mode(system.directory()), 0o700);
    system.stop().await;
    system.restart().await;
    assert!(!system.output().contains("other users"), "{}", system.output());
}

#[tokio::test]
async fn a_directory_that_others_use_is_rejected_and_left_alone() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("notes"), "").unwrap();
    set_mode(directory.path(), 0o777);
    let (succeeded, output) = run(&mut setup().command(directory.path())).await;
    assert!(!succeeded);
    assert!(output.starts_with("error: ") && output.lines().count() == 1, "{output}");
    assert!(output.contains("(DATA_DIR)") && output.contains("choose an empty directory"), "{output}");
    assert_eq!(mode(directory.path()), 0o777);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn an_invalid_variable_prevents_the_start_and_is_named() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let file = tempfile::NamedTempFile::new().unwrap();
    let no_directory = file.path().to_str().unwrap();
    let mut unnamed = Vec::new();
    for (variable, value) in [
        ("PORT", "http"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", ""),
        ("PORT", &taken),
        ("HOST", "everywhere"),
        // Of no interface: reserved for documentation.
        ("HOST", "192.0.2.1"),
        ("ADMIN_PORT", "http"),
        ("ADMIN_PORT", &taken),
        ("ORDER_EXPIRATION_SECONDS", "soon"),
        ("ORDER_EXPIRATION_SECONDS", "-1"),
        ("ORDER_EXPIRATION_SECONDS", "0"),
        ("ORDER_EXPIRATION_SECONDS", "86401"),
        ("ORDER_EXPIRATION_SECONDS", "99999999999999999999"),
        ("SHUTDOWN_DELAY_SECONDS", "soon"),
        ("SHUTDOWN_DELAY_SECONDS", "-1"),
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
        let mut command = Command::new(BINARY);
        command.env_clear().env("PORT", "0").env("ADMIN_PORT", "0").env("DATA_DIR", data.path());
        // With a key, so that STRIPE_API_BASE is used.
        command.env("STRIPE_KEY", "sk_test_17").env(variable, value);
        let (succeeded, output) = run(&mut command).await;
        if succeeded || !output.contains(variable) {
            unnamed.push(format!("{variable}={value}: {output}"));
        }
    }
    assert!(unnamed.is_empty(), "{}", unnamed.join("\n"));
}

#[tokio::test]
async fn help_names_every_variable_and_flag() {
    let (succeeded, help) = run(Command::new(BINARY).arg("--help").env_clear()).await;
    assert!(succeeded);
    for variable in [
        "HOST",
        "PORT",
        "ADMIN_PORT",
        "SHUTDOWN_DELAY_SECONDS",
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
        assert!(help.contains(&format!("[env: {variable}")), "{variable}: {help}");
        let flag = format!("--{}", variable.to_lowercase().replace('_', "-"));
        assert!(help.contains(&flag), "{flag}: {help}");
    }
}

#[tokio::test]
async fn sessions_survive_a_restart_and_their_key_is_private() {
    let mut system = start().await;
    let ann = system.sign_up("ann").await;
    let key = system.path("session-key");
    assert_eq!(mode(&key), 0o600);
    let before = fs::read(&key).unwrap();
    assert!(before.len() >= 32, "the key is too short");

    system.stop().await;
    system.restart().await;
    let ann = system.reconnect(&ann);
    let current: Value = ann.get("/users/currentuser").send().await.expect(200).json();
    assert_eq!((&current["currentUser"]["id"], &current["currentUser"]["email"]), (&json!(ann.id), &json!(ann.email)));
    assert_eq!(fs::read(&key).unwrap(), before);

    let other = start().await;
    assert_ne!(fs::read(other.path("session-key")).unwrap(), before, "every system has its own key");
}

#[tokio::test]
async fn the_session_cookie_is_not_secure_by_default() {
    for (setup, secure) in [(setup(), false), (setup().set("COOKIE_SECURE", "true"), true)] {
        let system = setup.set("SESSION_HOURS", "2").start().await;
        let body = json!({"email": "ann@example.com", "password": PASSWORD});
        let reply = system.visitor().post("/users/signup", &body).send().await.expect(201);
        let attributes: Vec<&str> = reply.header("set-cookie").unwrap().split("; ").skip(1).collect();
        for expected in ["HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=7200"] {
            assert!(attributes.contains(&expected), "{attributes:?}");
        }
        assert_eq!(attributes.contains(&"Secure"), secure, "{attributes:?}");
    }
}

#[tokio::test]
async fn an_idle_system_uses_no_processor_time() {
    let system = start().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let waiting = bob.order(&ann.create_ticket("Concert", "20").await).await;
    let sold = bob.order(&ann.create_ticket("Opera", "20").await).await;
    bob.pay(&sold, "tok_visa").await;
    bob.wait_until_complete(&sold).await;
    wait_until_consistent(&system).await;
    assert_eq!(bob.find_order(&waiting.id).await.status, "created");

    let before = system.processor_ticks();
    // Processor time is measured against real time.
    sleep(Duration::from_secs(3)).await;
    let used = system.processor_ticks() - before;
    assert!(used <= 3, "{used} ticks in three idle seconds");
}
