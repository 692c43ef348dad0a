//! Streams that are not as this program creates them, and several streams on one server.

use std::time::Duration;

use async_nats::jetstream::stream::{Config, StorageType};
use common::bus::{Bus, BusError, Publisher};
use common::error::chain;
use common::events::{Message, Subject};
use engines::nats::{NatsBus, NatsConfig};
use testing::contract::bus::fixture::{TICKETS, message};
use testing::servers::{NATS, Server};

use super::fixture::{config, connect, raw, refusal};

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_stream_is_refused() {
    let Some(server) = Server::start(NATS).await else { return };
    let nats = raw(server.port()).await;
    let foreign = Config { name: "ticketing".into(), subjects: vec!["invoices".into()], ..Config::default() };
    nats.create_stream(foreign).await.unwrap();
    let error = refusal(&config(server.port())).await;
    assert!(error.contains("the stream ticketing ") && error.contains("invoices"), "{error}");
    let after = nats.get_stream("ticketing").await.unwrap().cached_info().config.subjects.clone();
    assert_eq!(after, ["invoices"]);

    let in_memory = Config {
        name: "in-memory".into(),
        storage: StorageType::Memory,
        subjects: vec!["order:created".into()],
        ..Config::default()
    };
    nats.create_stream(in_memory).await.unwrap();
    let in_memory = NatsConfig { stream: "in-memory".into(), ..config(server.port()) };
    assert!(refusal(&in_memory).await.contains("files"));
    // A stream of any other name overlaps with it.
    let another = NatsConfig { stream: "another".into(), ..config(server.port()) };
    assert!(refusal(&another).await.contains("overlap"));
}

/// The subjects are the names of the events, whatever the stream is called, and a subject belongs to one stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_stream_in_the_same_account_is_refused_with_cause_and_cure() {
    let Some(server) = Server::start(NATS).await else { return };
    connect(server.port()).await;

    let another = NatsConfig { stream: "another".into(), ..config(server.port()) };
    let error = NatsBus::connect(&another).await.err().expect("a refusal");
    assert!(matches!(error, BusError::Unusable(_)) && !error.is_transient(), "{error:?}");
    let text = chain(&error);
    for part in ["stream another", "another stream of this NATS account", "own NATS account", "overlap"] {
        assert!(text.contains(part), "{part}: {text}");
    }

    // The first stream is unharmed.
    connect(server.port()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_stream_is_updated_in_place() {
    let Some(server) = Server::start(NATS).await else { return };
    let nats = raw(server.port()).await;
    let limited = Config {
        name: "ticketing".into(),
        subjects: vec!["order:created".into()],
        max_age: Duration::from_secs(3600),
        max_message_size: 64,
        ..Config::default()
    };
    nats.create_stream(limited).await.unwrap();
    let bus = connect(server.port()).await;
    bus.publish(&[Message { payload: "x".repeat(100_000), ..message(1) }]).await.unwrap();
    let config = nats.get_stream("ticketing").await.unwrap().cached_info().config.clone();
    assert_eq!((config.max_age, config.subjects.len()), (Duration::ZERO, Subject::ALL.len() + 1));
    // At the next start it is up to date.
    connect(server.port()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_systems_on_one_stream_are_detected() {
    let Some(server) = Server::start(NATS).await else { return };
    let owned = async |owner: &str| {
        let config = NatsConfig { owner: Some(owner.into()), ..config(server.port()) };
        NatsBus::connect(&config).await.unwrap().subscribe(TICKETS).await
    };
    owned("database 1").await.unwrap();
    owned("database 1").await.unwrap();
    let Err(BusError::Unusable(cause)) = owned("database 2").await else { panic!("a second system could subscribe") };
    let cause = cause.to_string();
    for part in ["tickets_order-created", "database 1", "database 2"] {
        assert!(cause.contains(part), "{cause}");
    }
}
