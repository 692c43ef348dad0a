//! Where a real Redis can misbehave: it goes away, it is emptied, its keys are not ours.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::jobs::{DelayedJobs, Job, JobsError};
use engines::redis::RedisJobs;
use futures_util::future::join_all;
use std::sync::Arc;
use testing::contract::soon;
use testing::contract::{Data, Fresh};
use testing::servers::{Proxy, REDIS, Server};
use tokio::time::timeout;

const LEASE: Duration = Duration::from_secs(1);

/// What a request may take at most when the server is away.
const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_requests_fail_in_time_and_nothing_is_lost_when_it_is_back() {
    let Some(mut server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    join_all((0..100).map(|number| schedule(&jobs, number))).await;
    let claimed = claim(&jobs, 1000).await;
    jobs.done(&[name(0)]).await.unwrap();

    server.kill();
    fails_in_time(jobs.schedule(&job(200))).await;
    fails_in_time(jobs.claim(at(1000), 10, LEASE)).await;
    fails_in_time(jobs.done(&[name(1)])).await;
    fails_in_time(jobs.cancel(&name(1))).await;
    fails_in_time(jobs.next_due()).await;
    fails_in_time(jobs.count_due(at(1000))).await;
    fails_in_time(jobs.ping()).await;

    server.restart().await;
    jobs.ping().await.unwrap();
    assert_eq!(jobs.count_due(at(1000)).await.unwrap(), 99);
    assert_eq!(claim(&jobs, 1999).await.len(), 0, "leases outlive the server");
    let again = claim(&jobs, 2000).await;
    assert_eq!(again, claimed.difference(&[name(0)].into()).cloned().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_noticed_and_what_it_claimed_for_nobody_comes_again() {
    let Some(server) = Server::start(REDIS).await else { return };
    let proxy = Proxy::to(server.port()).await;
    let jobs = connect(proxy.port()).await;
    join_all((0..10).map(|number| schedule(&jobs, number))).await;

    proxy.silence();
    fails_in_time(jobs.claim(at(1000), 10, LEASE)).await;
    fails_in_time(jobs.ping()).await;
    proxy.open();

    // The claim may have reached the server after all; its lease ends.
    soon("an answer", until_ok(|| jobs.ping())).await;
    assert_eq!(claim(&jobs, 10_000).await.len(), 10);

    proxy.cut();
    fails_in_time(jobs.claim(at(20_000), 10, LEASE)).await;
    proxy.open();
    assert_eq!(claim(&jobs, 20_000).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_when_the_server_is_killed_again_and_again() {
    let Some(mut server) = Server::start(REDIS).await else { return };
    let jobs = Arc::new(connect(server.port()).await);
    let worker = tokio::spawn({
        let jobs = jobs.clone();
        async move {
            let mut missing: BTreeSet<String> = (0..3000).map(name).collect();
            let mut now = 1000;
            while !missing.is_empty() {
                // Every claim is later than the leases before it.
                now += 1000;
                let Ok(batch) = jobs.claim(at(now), 100, LEASE).await else { continue };
                let ids: Vec<String> = batch.into_iter().map(|job| job.id).collect();
                until_ok(|| jobs.done(&ids)).await;
                ids.iter().for_each(|id| _ = missing.remove(id));
            }
        }
    });
    let scheduler = tokio::spawn({
        let jobs = jobs.clone();
        async move {
            for first in (0..3000).step_by(20) {
                let jobs = &jobs;
                let until_scheduled =
                    async |number| until_ok(|| async move { jobs.schedule(&job(number)).await }).await;
                join_all((first..first + 20).map(until_scheduled)).await;
            }
        }
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        server.restart().await;
    }
    soon("the end of scheduling", scheduler).await.unwrap();
    soon("every job", worker).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_redis_can_unpack_is_claimed_and_forgotten_in_parts() {
    let Some(server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    for first in (0..20_000).step_by(1000) {
        join_all((first..first + 1000).map(|number| schedule(&jobs, number))).await;
    }
    let mut seen = BTreeSet::new();
    while seen.len() < 20_000 {
        let batch = jobs.claim(at(1000), 20_000, LEASE).await.unwrap();
        assert!((1..=1000).contains(&batch.len()));
        seen.extend(batch.into_iter().map(|job| job.id));
    }
    jobs.done(&seen.into_iter().collect::<Vec<_>>()).await.unwrap();
    assert_eq!(jobs.next_due().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_tells() {
    let Some(mut server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    assert!(!jobs.is_complete().await.unwrap());
    let begun = jobs.begin_rebuild().await.unwrap();
    raw(server.port(), &["FLUSHALL"]).await;
    assert!(!jobs.mark_complete(&begun).await.unwrap());
    let begun = jobs.begin_rebuild().await.unwrap();
    assert!(jobs.mark_complete(&begun).await.unwrap());
    server.restart().await;
    assert!(jobs.is_complete().await.unwrap());
    raw(server.port(), &["FLUSHALL"]).await;
    assert!(!jobs.is_complete().await.unwrap());
    // Scripts that are gone too are no obstacle.
    raw(server.port(), &["SCRIPT", "FLUSH"]).await;
    schedule(&jobs, 1).await;
    assert_eq!(claim(&jobs, 1000).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_nobody_scheduled_holds_up_no_other() {
    let Some(server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    raw(server.port(), &["EVAL", r"return redis.call('ZADD', 'expiration:claimable', 0, '\255')", "0"]).await;
    schedule(&jobs, 1).await;
    assert_eq!(claim(&jobs, 1000).await, BTreeSet::from([name(1)]));
    jobs.done(&[name(1)]).await.unwrap();
    assert_eq!(jobs.next_due().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_no_longer_the_primary_is_left() {
    let Some(server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    schedule(&jobs, 1).await;
    raw(server.port(), &["REPLICAOF", "127.0.0.1", "9"]).await;
    let before = connections(server.port()).await;
    for _ in 0..2 {
        jobs.schedule(&job(2)).await.unwrap_err();
    }
    // That of the second attempt, and the one of whoever asks.
    assert_eq!(connections(server.port()).await - before, 2);
    raw(server.port(), &["REPLICAOF", "NO", "ONE"]).await;
    jobs.schedule(&job(2)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_the_wrong_type_is_named() {
    let Some(server) = Server::start(REDIS).await else { return };
    for (key, operation) in [("claimable", "SADD"), ("due", "SADD"), ("payloads", "SADD")] {
        let key = format!("expiration:{key}");
        raw(server.port(), &["FLUSHALL"]).await;
        let jobs = connect(server.port()).await;
        schedule(&jobs, 1).await;
        raw(server.port(), &["DEL", &key]).await;
        raw(server.port(), &[operation, &key, "x"]).await;
        let address = format!("127.0.0.1:{}", server.port()).into();
        let at_start = RedisJobs::connect(&address, "expiration", "ticketing").await.err().expect("a refusal");
        let later = jobs.schedule(&job(2)).await.unwrap_err();
        for error in [at_start, later] {
            let JobsError::Unusable(why) = error else { panic!("{error}") };
            let why = why.to_string();
            assert!(why.contains(&key) && why.contains("set"), "{why}");
        }
        // Repaired, it goes on with what broke off.
        raw(server.port(), &["DEL", &key]).await;
        jobs.schedule(&job(2)).await.unwrap();
        assert!(claim(&jobs, 1000).await.contains(&name(2)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_in_the_url_are_used_and_not_told() {
    let program = testing::servers::Program {
        arguments: |port, directory| {
            let mut arguments = (REDIS.arguments)(port, directory);
            arguments.extend(["--requirepass", "p@ss"].map(Into::into));
            arguments
        },
        answer: b"-NOAUTH",
        ..REDIS
    };
    let Some(server) = Server::start(program).await else { return };
    let connect_as = async |who: &str| {
        RedisJobs::connect(&format!("redis://{who}127.0.0.1:{}/1", server.port()).into(), "expiration", "ticketing")
            .await
    };
    connect_as(":p%40ss@").await.unwrap().ping().await.unwrap();
    for who in [":hunter2@", ""] {
        let Err(error) = connect_as(who).await else { panic!("let in") };
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}

async fn connect(port: u16) -> RedisJobs {
    RedisJobs::connect(&format!("127.0.0.1:{port}").into(), "expiration", "ticketing").await.expect("a connection")
}

async fn raw(port: u16, command: &[&str]) -> redis::Value {
    let client = redis::Client::open(("127.0.0.1", port)).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let (name, arguments) = command.split_first().expect("a command");
    redis::cmd(name).arg(arguments).query_async(&mut connection).await.expect("an answer")
}

/// How many connections the server has ever accepted.
async fn connections(port: u16) -> u64 {
    let stats: String = redis::from_redis_value(raw(port, &["INFO", "stats"]).await).expect("text");
    let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")).expect("a line");
    line.parse().expect("a number")
}

async fn fails_in_time<T>(request: impl Future<Output = Result<T, JobsError>>) {
    assert!(timeout(LIMIT, request).await.expect("an end in time").is_err());
}

async fn until_ok<F: Future<Output = Result<(), JobsError>>>(request: impl Fn() -> F) {
    while request().await.is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn schedule(jobs: &RedisJobs, number: u32) {
    jobs.schedule(&job(number)).await.expect("schedule");
}

async fn claim(jobs: &RedisJobs, now: i64) -> BTreeSet<String> {
    jobs.claim(at(now), 1000, LEASE).await.expect("claim").into_iter().map(|job| job.id).collect()
}

fn job(number: u32) -> Job {
    Job { id: name(number), due: at(1000), payload: String::new() }
}

fn name(number: u32) -> String {
    format!("{number:024x}")
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) async fn jobs() -> Fresh<dyn DelayedJobs> {
    Some(Box::new(Redis(Server::start(REDIS).await?)))
}

struct Redis(Server);

#[async_trait]
impl Data<dyn DelayedJobs> for Redis {
    async fn open(&self) -> Arc<dyn DelayedJobs> {
        let address = format!("127.0.0.1:{}", self.0.port()).into();
        Arc::new(RedisJobs::connect(&address, "expiration", "ticketing").await.expect("a connection"))
    }
}
