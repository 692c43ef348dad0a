//! Starting and stopping.

use std::process::Command;
use std::time::Duration;

use testing::servers::{self, Server};

use crate::services::command;
use crate::spread::{Engines, Process, Spread};
use crate::support::Ticket;

/// In every URL of these tests that could be told to somebody.
const PASSWORD: &str = "hunter2-of-nobody-else";

#[tokio::test]
async fn a_service_says_what_it_waits_for_and_is_ready_once_that_is_there() {
    let Some(engines) = Engines::start().await else { return };
    let cases = [
        ("orders", &engines.mongo.way, "waiting for MongoDB (MONGO_URI)"),
        ("tickets", &engines.nats.way, "waiting for NATS (NATS_URL)"),
        ("expiration", &engines.redis.way, "waiting for Redis (REDIS_HOST)"),
    ];
    for (service, way, line) in cases {
        way.cut();
        let told_to_stop = Process::start(&mut engines.command(service));
        told_to_stop.said(|said| said.contains(line).then_some(())).await;
        told_to_stop.signal("TERM");
        told_to_stop.refuses().await;
        let mut process = Process::start(&mut engines.command(service));
        process.said(|said| said.contains(line).then_some(())).await;
        way.open();
        process.ready().await;
        assert!(!process.output.text().contains("panicked"));
        // Told again every few seconds, not over and over.
        let times = process.output.text().matches(line).count();
        assert!(times < 5, "{times} times");
    }
}

#[tokio::test]
async fn a_variable_that_is_missing_is_named_and_no_secret_is_told() {
    let services = [
        ("auth", &["MONGO_URI", "JWT_KEY"][..]),
        ("tickets", &["MONGO_URI", "JWT_KEY", "NATS_URL"]),
        ("orders", &["MONGO_URI", "JWT_KEY", "NATS_URL"]),
        ("payments", &["MONGO_URI", "JWT_KEY", "NATS_URL"]),
        ("expiration", &["NATS_URL", "REDIS_HOST"]),
    ];
    for (service, variables) in services {
        for missing in variables {
            let mut command = command(service);
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
            let said = Process::start(command.env("ADMIN_PORT", "0").env("PORT", "0")).refuses().await;
            assert!(said.contains(missing) && !said.contains(PASSWORD), "{service} without {missing}: {said}");
        }
    }
}

#[tokio::test]
async fn what_is_malformed_is_refused_at_once_and_no_secret_is_told() {
    let Some(engines) = Engines::start().await else { return };
    let cases = [
        ("auth", "MONGO_URI", format!("mongo://ann:{PASSWORD}@127.0.0.1/auth")),
        ("auth", "MONGO_URI", format!("mongodb://ann:{PASSWORD}@127.0.0.1:port/auth")),
        ("auth", "PORT", "eighty".into()),
        ("orders", "ORDER_EXPIRATION_SECONDS", "soon".into()),
        ("payments", "STRIPE_API_BASE", "stripe".into()),
    ];
    let said = Process::start(engines.command("payments").env_remove("STRIPE_KEY")).refuses().await;
    assert!(said.contains("STRIPE_KEY"), "{said}");
    for (service, variable, value) in cases {
        let said = Process::start(engines.command(service).env(variable, &value)).refuses().await;
        assert!(said.contains(variable) && !said.contains(PASSWORD), "{service} with {variable}={value}: {said}");
    }
}

#[tokio::test]
async fn secrets_are_not_told_while_a_service_waits() {
    let Some(engines) = Engines::start().await else { return };
    // Nothing listens there.
    let cases = [
        ("auth", "MONGO_URI", format!("mongodb://ann:{PASSWORD}@127.0.0.1:9/auth")),
        ("orders", "NATS_URL", format!("nats://ann:{PASSWORD}@127.0.0.1:9")),
        ("expiration", "REDIS_HOST", format!("redis://ann:{PASSWORD}@127.0.0.1:9/0")),
    ];
    for (service, variable, value) in cases {
        let process = Process::start(engines.command(service).env("RUST_LOG", "debug").env(variable, &value));
        process.said(|line| (line.contains("waiting for") && line.contains(variable)).then_some(())).await;
        let said = process.output.text();
        assert!(!said.contains(PASSWORD), "{service}: {said}");
    }
}

#[tokio::test]
async fn a_database_of_another_service_and_a_stream_of_another_system_are_refused() {
    let Some(engines) = Engines::start().await else { return };
    let mut tickets = Process::start(&mut engines.command("tickets"));
    tickets.ready().await;
    let uri = |name| format!("mongodb://127.0.0.1:{}/{name}", engines.mongo.way.port());
    let refused = async |command: &mut Command| Process::start(command).refuses().await;

    let said = refused(engines.command("orders").env("MONGO_URI", uri("tickets"))).await;
    assert!(said.contains("belongs to the service tickets"), "{said}");

    let said = refused(engines.command("tickets").env("MONGO_URI", uri("tickets-of-another-system"))).await;
    assert!(said.contains("belongs to the database tickets/") && said.contains("two systems"), "{said}");

    // A second replica is welcome.
    Process::start(&mut engines.command("tickets")).ready().await;
}

#[tokio::test]
async fn two_systems_at_one_redis_are_noticed() {
    let (Some(engines), Some(other)) = (Engines::start().await, Server::start(servers::NATS).await) else { return };
    let expiration = Process::start(engines.command("expiration").env("RUST_LOG", "info"));
    expiration.said(|line| line.contains("scheduled the jobs").then_some(())).await;
    let mut of_another = engines.command("expiration");
    let said = Process::start(of_another.env("NATS_URL", format!("nats://127.0.0.1:{}", other.port()))).refuses().await;
    assert!(said.contains("two systems use one Redis"), "{said}");
}

#[tokio::test]
async fn two_systems_at_one_mongodb_are_noticed() {
    let (Some(engines), Some(other)) = (Engines::start().await, Server::start(servers::NATS).await) else { return };
    Process::start(&mut engines.command("orders")).ready().await;
    let mut of_another = engines.command("orders");
    let said = Process::start(of_another.env("NATS_URL", format!("nats://127.0.0.1:{}", other.port()))).refuses().await;
    assert!(said.contains("two systems use one database"), "{said}");
}

#[tokio::test]
async fn all_services_end_in_good_order_within_ten_seconds_and_have_forgotten_nothing() {
    let Some(mut system) = Spread::start(Duration::from_secs(900)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let mut tickets: Vec<Ticket> = Vec::new();
    for n in 0..20 {
        tickets.push(ann.list_ticket(&format!("Seat {n}"), "20").await);
    }
    system.stop_all().await;
    system.restart_all().await;
    for ticket in &tickets {
        let order = bob.order(ticket).await;
        bob.pay(&order, "tok_visa").await;
        bob.sees_complete(&order).await;
    }
    system.agrees(&[ann, bob], []).await;
}
