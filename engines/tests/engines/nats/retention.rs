//! How long the stream keeps events.

use std::time::Duration;

use clap::Parser;
use common::bus::{Bus, Publisher, Verdict};
use engines::nats::{NatsBus, NatsConfig};
use engines::standalone::{Engines, RedisAndNats};
use testing::contract::bus::fixture::{TICKETS, history, messages, number, take, take_one};
use testing::servers::{NATS, REDIS, Server};
use testing::wait_until;

use super::fixture::{config, raw};

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_start_decides_how_long_events_are_kept() {
    let Some(server) = Server::start(NATS).await else { return };
    let nats = raw(server.port()).await;
    for retention in [Some(30 * DAY), Some(7 * DAY), None, Some(Duration::from_secs(60))] {
        NatsBus::connect(&NatsConfig { retention, ..config(server.port()) }).await.unwrap();
        let age_limit = async |stream: &str| nats.get_stream(stream).await.unwrap().cached_info().config.max_age;
        assert_eq!(age_limit("ticketing").await, retention.unwrap_or_default());
        assert_eq!(age_limit("ticketing-dead-letters").await, Duration::ZERO);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_durable_that_is_behind_skips_events_that_are_gone_and_keeps_dead_letters() {
    let Some(server) = Server::start(NATS).await else { return };
    let retention = Some(Duration::from_secs(5));
    let bus = NatsBus::connect(&NatsConfig { retention, ..config(server.port()) }).await.unwrap();
    bus.publish(&messages(0..100)).await.unwrap();
    let reader = bus.subscribe(TICKETS).await.unwrap();
    let first = take_one(&*reader).await;
    reader.settle(&first, Verdict::Reject("never".into())).await.unwrap();
    let held = take(&*reader, 10).await;
    reader.settle(&held[0], Verdict::Retry(Duration::ZERO)).await.unwrap();
    drop(reader);
    wait_until("the events to be deleted", async || history(&bus).await.is_empty().then_some(())).await;

    bus.publish(&messages(100..101)).await.unwrap();
    let reader = bus.subscribe(TICKETS).await.unwrap();
    assert_eq!(number(&take_one(&*reader).await), 100);
    let letters = bus.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| &letter.message).collect::<Vec<_>>(), [&first.message]);
    assert!(bus.replay_dead_letter(&letters[0].id).await.unwrap());
    assert_eq!(take_one(&*reader).await.message, first.message);
}

#[derive(Parser)]
struct Config {
    #[command(flatten)]
    engines: RedisAndNats,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standalone_service_keeps_events_for_thirty_days_or_as_configured() {
    let (Some(nats), Some(redis)) = (Server::start(NATS).await, Server::start(REDIS).await) else { return };
    let servers =
        [format!("--nats-url=nats://127.0.0.1:{}", nats.port()), format!("--redis-host=127.0.0.1:{}", redis.port())];
    for (flag, days) in [(None, 30), (Some("--event-retention-days=7"), 7), (Some("--event-retention-days=0"), 0)] {
        let flags = ["expiration", &servers[0], &servers[1]].into_iter().chain(flag);
        let opened = Config::parse_from(flags).engines.open("expiration", &[]).await.expect("engines");
        assert_eq!(opened.bus.expect("a bus").retention(), (days > 0).then_some(days * DAY));
        let stream = raw(nats.port()).await.get_stream("ticketing").await.unwrap();
        assert_eq!(stream.cached_info().config.max_age, days * DAY);
    }
}
