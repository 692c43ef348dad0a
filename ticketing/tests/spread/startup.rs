//! Starting and stopping standalone services.

use std::net::Ipv4Addr;
use std::process::Command;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testing::servers::{self, Server};
use testing::system::{Addresses, Process, STOP_TIMEOUT, Ticket, http_client, simulator_url};
use testing::wait_until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::binaries::binaries;
use crate::engines::Engines;
use crate::spread::Spread;

/// Part of every URL that a test passes in. Must never appear in a log.
const PASSWORD: &str = "hunter2-of-nobody-else";

#[tokio::test]
async fn a_service_names_the_server_it_waits_for_and_is_ready_once_that_responds() {
    let Some(engines) = Engines::start().await else { return };
    let cases = [
        ("orders", &engines.mongo.proxy, "MongoDB (MONGO_URI)"),
        ("tickets", &engines.nats.proxy, "NATS (NATS_URL)"),
        ("expiration", &engines.redis.proxy, "Redis (REDIS_HOST)"),
    ];
    for (service, proxy, server) in cases {
        proxy.cut();
        let interrupted = Process::start(&mut engines.command(service));
        interrupted.wait_for_line(|line| waits_for(line, server)).await;
        interrupted.signal("TERM");
        interrupted.expect_failure().await;
        let process = Process::start(&mut engines.command(service));
        process.wait_for_line(|line| waits_for(line, server)).await;
        proxy.open();
        process.wait_for_output(Addresses::from_log).await;
        let output = process.output();
        assert!(!output.contains("panicked"), "{output}");
        // Once every few seconds.
        let count = output.lines().filter(|line| waits_for(line, server)).count();
        assert!(count < 5, "logged {count} times");
    }
}

/// Whether a line of the log says that a server does not respond yet.
fn waits_for(line: &str, server: &str) -> bool {
    line.contains("server not ready, will retry") && line.contains(server)
}

#[tokio::test]
async fn a_missing_variable_is_named_and_no_secret_is_printed() {
    let services = [
        ("auth", &["MONGO_URI", "JWT_KEY"][..]),
        ("tickets", &["MONGO_URI", "JWT_KEY", "NATS_URL"]),
        ("orders", &["MONGO_URI", "JWT_KEY", "NATS_URL"]),
        ("payments", &["MONGO_URI", "JWT_KEY", "NATS_URL"]),
        ("expiration", &["NATS_URL", "REDIS_HOST"]),
    ];
    for (service, variables) in services {
        for missing in variables {
            let mut command = binaries().command(service);
            for variable in variables.iter().filter(|variable| *variable != missing) {
                // Nothing listens there.
                let value = match *variable {
                    "MONGO_URI" => format!("mongodb://ann:{PASSWORD}@127.0.0.1:9/{service}"),
                    "NATS_URL" => format!("nats://ann:{PASSWORD}@127.0.0.1:9"),
                    "REDIS_HOST" => format!("redis://ann:{PASSWORD}@127.0.0.1:9"),
                    _ => PASSWORD.to_owned(),
                };
                command.env(variable, value);
            }
            let output = Process::start(command.env("ADMIN_PORT", "0").env("PORT", "0")).expect_failure().await;
            assert!(output.contains(missing) && !output.contains(PASSWORD), "{service} without {missing}: {output}");
        }
    }
}

#[tokio::test]
async fn a_malformed_variable_is_rejected_at_once_and_no_secret_is_printed() {
    let Some(engines) = Engines::start().await else { return };
    let cases = [
        ("auth", "MONGO_URI", format!("mongo://ann:{PASSWORD}@127.0.0.1/auth")),
        ("auth", "MONGO_URI", format!("mongodb://ann:{PASSWORD}@127.0.0.1:port/auth")),
        ("auth", "PORT", "eighty".into()),
        ("orders", "ORDER_EXPIRATION_SECONDS", "soon".into()),
        ("payments", "STRIPE_API_BASE", "stripe".into()),
    ];
    let output = Process::start(engines.command("payments").env_remove("STRIPE_KEY")).expect_failure().await;
    assert!(output.contains("STRIPE_KEY"), "{output}");
    for (service, variable, value) in cases {
        let output = Process::start(engines.command(service).env(variable, &value)).expect_failure().await;
        assert!(output.contains(variable) && !output.contains(PASSWORD), "{service} with {variable}={value}: {output}");
    }
}

#[tokio::test]
async fn no_secret_is_logged_while_a_service_waits() {
    let Some(engines) = Engines::start().await else { return };
    // Nothing listens there.
    let cases = [
        ("auth", "MONGO_URI", format!("mongodb://ann:{PASSWORD}@127.0.0.1:9/auth")),
        ("orders", "NATS_URL", format!("nats://ann:{PASSWORD}@127.0.0.1:9")),
        ("expiration", "REDIS_HOST", format!("redis://ann:{PASSWORD}@127.0.0.1:9/0")),
    ];
    for (service, variable, value) in cases {
        let process = Process::start(engines.command(service).env("RUST_LOG", "debug").env(variable, &value));
        process.wait_for_line(|line| waits_for(line, variable)).await;
        let output = process.output();
        assert!(!output.contains(PASSWORD), "{service}: {output}");
    }
}

#[tokio::test]
async fn a_database_of_another_service_and_a_stream_of_another_system_are_rejected() {
    let Some(engines) = Engines::start().await else { return };
    let tickets = Process::start(&mut engines.command("tickets"));
    tickets.wait_for_output(Addresses::from_log).await;
    let uri = |name| format!("mongodb://127.0.0.1:{}/{name}", engines.mongo.proxy.port());
    let rejected = async |command: &mut Command| Process::start(command).expect_failure().await;

    let output = rejected(engines.command("orders").env("MONGO_URI", uri("tickets"))).await;
    assert!(output.contains("belongs to the service tickets"), "{output}");

    let output = rejected(engines.command("tickets").env("MONGO_URI", uri("tickets-of-another-system"))).await;
    assert!(output.contains("belongs to the database tickets/") && output.contains("two systems"), "{output}");

    // A second replica of the same service may start.
    Process::start(&mut engines.command("tickets")).wait_for_output(Addresses::from_log).await;
}

#[tokio::test]
async fn two_systems_on_one_redis_are_detected() {
    let (Some(engines), Some(other)) = (Engines::start().await, Server::start(servers::NATS).await) else { return };
    let _expiration = Process::start(&mut engines.command("expiration"));
    wait_until("the jobs have an owner", async || {
        let owner = ask_redis(&engines, "GET expiration:complete").await;
        owner.contains("ticketing/").then_some(())
    })
    .await;
    let mut second = engines.command("expiration");
    second.env("NATS_URL", format!("nats://127.0.0.1:{}", other.port()));
    let output = Process::start(&mut second).expect_failure().await;
    assert!(output.contains("two systems use one Redis"), "{output}");
}

#[tokio::test]
async fn a_redis_that_may_evict_jobs_is_reported() {
    let Some(engines) = Engines::start().await else { return };
    assert_eq!(ask_redis(&engines, "CONFIG SET maxmemory-policy allkeys-lru").await, "+OK\r\n");
    let expiration = Process::start(&mut engines.command("expiration"));
    expiration.wait_for_line(|line| line.contains("Redis may evict jobs") && line.contains("allkeys-lru")).await;
}

/// Sends a command, and returns the reply as Redis writes it.
async fn ask_redis(engines: &Engines, command: &str) -> String {
    let mut redis = TcpStream::connect((Ipv4Addr::LOCALHOST, engines.redis.server.port())).await.unwrap();
    redis.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).await.unwrap();
    let mut reply = String::new();
    redis.read_to_string(&mut reply).await.unwrap();
    // That of QUIT.
    reply.strip_suffix("+OK\r\n").unwrap().to_owned()
}

#[tokio::test]
async fn two_systems_on_one_mongodb_are_detected() {
    let (Some(engines), Some(other)) = (Engines::start().await, Server::start(servers::NATS).await) else { return };
    Process::start(&mut engines.command("orders")).wait_for_output(Addresses::from_log).await;
    let mut second = engines.command("orders");
    second.env("NATS_URL", format!("nats://127.0.0.1:{}", other.port()));
    let output = Process::start(&mut second).expect_failure().await;
    assert!(output.contains("two systems use one database"), "{output}");
}

#[tokio::test]
async fn all_services_stop_within_ten_seconds_and_lose_nothing() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let mut tickets: Vec<Ticket> = Vec::new();
    for n in 0..20 {
        tickets.push(ann.create_ticket(&format!("Seat {n}"), "20").await);
    }
    system.stop_all().await;
    system.restart_all().await;
    for ticket in &tickets {
        let order = bob.order(ticket).await;
        bob.pay(&order, "tok_visa").await;
        bob.wait_until_complete(&order).await;
    }
    system.wait_until_consistent(&[ann, bob], []).await;
}

#[tokio::test]
async fn a_service_listens_on_every_interface_and_serves_three_seconds_longer_by_default() {
    let Some(engines) = Engines::start().await else { return };
    let mut process = Process::start(engines.command("auth").env_remove("SHUTDOWN_DELAY_SECONDS"));
    let Addresses { http, admin } = process.wait_for_output(Addresses::from_log).await;
    let http = http.expect("an address");
    assert!(http.ip().is_unspecified() && admin.ip().is_unspecified(), "{http}, {admin}");
    let get = async |url: String| http_client().get(url).send().await.unwrap().status().as_u16();

    let began = Instant::now();
    process.signal("TERM");
    wait_until("the service is not ready", async || {
        (get(format!("http://127.0.0.1:{}/healthz/ready", admin.port())).await == 503).then_some(())
    })
    .await;
    assert_eq!(get(format!("http://127.0.0.1:{}/api/users/currentuser", http.port())).await, 200);
    let status = process.wait_for_exit(Duration::from_secs(3) + STOP_TIMEOUT).await;
    assert!(status.success(), "{}", process.output());
    assert!(began.elapsed() >= Duration::from_secs(3), "after {:?}", began.elapsed());
}

#[tokio::test]
async fn the_simulator_listens_on_loopback_by_default_and_otherwise_on_host() {
    for (host, expected) in [(None, "http://127.0.0.1:"), (Some("0.0.0.0"), "http://0.0.0.0:")] {
        let directory = TempDir::new().unwrap();
        let mut command = binaries().command("stripe-simulator");
        command.env("PORT", "0").envs(host.map(|host| ("HOST", host))).current_dir(&directory);
        let url = Process::start(&mut command).wait_for_output(simulator_url).await;
        assert!(url.starts_with(expected), "{url}");
    }
}
