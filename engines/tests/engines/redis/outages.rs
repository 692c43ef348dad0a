//! Servers that crash, hang or are demoted, and lost connections.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::jobs::{DelayedJobs, Job, JobsError};
use futures_util::future::join_all;
use redis::from_redis_value;
use testing::servers::{Proxy, REDIS, Server};
use testing::{soon, wait_until};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use super::fixture::{DURABLE_REDIS, LEASE, at, claim, connect, job, name, raw, schedule};

/// The longest that a request may take during an outage.
const LIMIT: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn requests_fail_in_time_during_an_outage_and_no_job_is_lost() {
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
    assert_eq!(claim(&jobs, 1999).await.len(), 0, "leases survive a restart");
    let again = claim(&jobs, 2000).await;
    assert_eq!(again, claimed.difference(&[name(0)].into()).cloned().collect());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_is_detected_and_lost_claims_expire() {
    let Some(server) = Server::start(REDIS).await else { return };
    let proxy = Proxy::to(server.port()).await;
    let jobs = connect(proxy.port()).await;
    join_all((0..10).map(|number| schedule(&jobs, number))).await;

    proxy.silence();
    fails_in_time(jobs.claim(at(1000), 10, LEASE)).await;
    fails_in_time(jobs.ping()).await;
    proxy.open();

    // The claim may have reached the server. If so, its lease ends.
    until_ok(|| jobs.ping()).await;
    assert_eq!(claim(&jobs, 10_000).await.len(), 10);

    proxy.cut();
    fails_in_time(jobs.claim(at(20_000), 10, LEASE)).await;
    proxy.open();
    assert_eq!(claim(&jobs, 20_000).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_on_a_dead_connection_fails_in_time_while_others_succeed_on_a_new_one() {
    let Some(server) = Server::start(REDIS).await else { return };
    let proxy = Proxy::to(server.port()).await;
    let jobs = Arc::new(connect(proxy.port()).await);
    let before = connections(server.port()).await;
    proxy.stall_connections();
    // A steady stream: some are sent shortly before the connection is given up, others after that.
    let (mut commands, mut pace) = (JoinSet::new(), interval(Duration::from_millis(20)));
    for _ in 0..200 {
        pace.tick().await;
        let jobs = jobs.clone();
        commands.spawn(async move { timeout(LIMIT, jobs.ping()).await.expect("an end in time").is_ok() });
    }
    let succeeded = commands.join_all().await;
    assert!(succeeded.contains(&false), "no command was sent on the dead connection");
    assert!(succeeded.contains(&true), "no command was sent on a new connection");
    // One that replaces it, however many commands found it dead, and one for counting.
    assert_eq!(connections(server.port()).await - before, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_lost_when_the_server_is_killed_repeatedly() {
    let Some(mut server) = Server::start(DURABLE_REDIS).await else { return };
    let jobs = Arc::new(connect(server.port()).await);
    let (finished, mut progress) = watch::channel(0);
    let worker = tokio::spawn({
        let jobs = jobs.clone();
        async move {
            let mut missing: BTreeSet<String> = (0..3000).map(name).collect();
            let mut now = 1000;
            while !missing.is_empty() {
                // Late enough for the leases of all earlier claims to have ended.
                now += 1000;
                let Ok(batch) = jobs.claim(at(now), 100, LEASE).await else { continue };
                let ids: Vec<String> = batch.into_iter().map(|job| job.id).collect();
                until_ok(|| jobs.done(&ids)).await;
                ids.iter().for_each(|id| _ = missing.remove(id));
                finished.send_replace(3000 - missing.len());
            }
        }
    });
    let scheduler = tokio::spawn({
        let jobs = jobs.clone();
        async move {
            for first in (0..3000).step_by(20) {
                let batch: Vec<Job> = (first..first + 20).map(job).collect();
                join_all(batch.iter().map(|job| until_ok(|| jobs.schedule(job)))).await;
            }
        }
    });
    for count in [500, 1000, 1500] {
        soon("jobs", progress.wait_for(|finished| *finished >= count)).await.unwrap();
        server.restart().await;
    }
    soon("the scheduler", scheduler).await.unwrap();
    soon("every job", worker).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_connection_to_a_demoted_primary_is_dropped() {
    let Some(server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    schedule(&jobs, 1).await;
    raw(server.port(), &["REPLICAOF", "127.0.0.1", "9"]).await;
    let before = connections(server.port()).await;
    for _ in 0..2 {
        jobs.schedule(&job(2)).await.unwrap_err();
    }
    // One for the second attempt, and one for counting.
    assert_eq!(connections(server.port()).await - before, 2);
    raw(server.port(), &["REPLICAOF", "NO", "ONE"]).await;
    jobs.schedule(&job(2)).await.unwrap();
}

/// The number of connections that the server has accepted since it started.
async fn connections(port: u16) -> u64 {
    let stats: String = from_redis_value(raw(port, &["INFO", "stats"]).await).expect("text");
    let line = stats.lines().find_map(|line| line.strip_prefix("total_connections_received:")).expect("a line");
    line.parse().expect("a number")
}

async fn fails_in_time<T>(request: impl Future<Output = Result<T, JobsError>>) {
    assert!(timeout(LIMIT, request).await.expect("an end in time").is_err());
}

/// Repeats a request until it succeeds.
async fn until_ok<F: Future<Output = Result<(), JobsError>>>(request: impl Fn() -> F) {
    wait_until("an answer", async || request().await.ok()).await;
}
