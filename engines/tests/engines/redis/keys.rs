//! Keys that are missing, large or not of this program.

use std::collections::BTreeSet;

use common::jobs::{DelayedJobs, JobsError};
use engines::redis::RedisJobs;
use futures_util::future::join_all;
use testing::servers::{REDIS, Server};

use super::fixture::{DURABLE_REDIS, LEASE, at, claim, connect, job, name, raw, schedule};

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_redis_is_incomplete() {
    let Some(mut server) = Server::start(DURABLE_REDIS).await else { return };
    let jobs = connect(server.port()).await;
    assert!(!jobs.is_complete().await.unwrap());
    let begin = async || jobs.begin_rebuild(at(0), LEASE).await.unwrap().unwrap();
    let rebuild = begin().await;
    assert!(jobs.record_progress(&rebuild, 1, at(0), LEASE).await.unwrap());
    raw(server.port(), &["FLUSHALL"]).await;
    assert!(!jobs.record_progress(&rebuild, 2, at(0), LEASE).await.unwrap());
    assert!(!jobs.mark_complete(&rebuild).await.unwrap());
    let rebuild = begin().await;
    assert_eq!(rebuild.position, None, "what was read before has been lost");
    assert!(jobs.mark_complete(&rebuild).await.unwrap());
    server.restart().await;
    assert!(jobs.is_complete().await.unwrap());
    raw(server.port(), &["FLUSHALL"]).await;
    assert!(!jobs.is_complete().await.unwrap());
    // Missing scripts are loaded again.
    raw(server.port(), &["SCRIPT", "FLUSH"]).await;
    schedule(&jobs, 1).await;
    assert_eq!(claim(&jobs, 1000).await.len(), 1);
}

/// Earlier versions of the program stored no lease and no position.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_of_an_earlier_version_starts_over() {
    let Some(server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    raw(server.port(), &["SET", "expiration:complete", "rebuild/0123456789abcdef"]).await;
    assert!(!jobs.is_complete().await.unwrap());
    let rebuild = jobs.begin_rebuild(at(0), LEASE).await.unwrap().unwrap();
    assert_eq!(rebuild.position, None);
    assert!(jobs.mark_complete(&rebuild).await.unwrap());
}

/// Lua unpacks only a limited number of arguments in one script.
#[tokio::test(flavor = "multi_thread")]
async fn large_batches_are_claimed_and_finished_in_parts() {
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
async fn a_foreign_job_holds_up_no_others() {
    let Some(server) = Server::start(REDIS).await else { return };
    let jobs = connect(server.port()).await;
    raw(server.port(), &["EVAL", r"return redis.call('ZADD', 'expiration:claimable', 0, '\255')", "0"]).await;
    schedule(&jobs, 1).await;
    assert_eq!(claim(&jobs, 1000).await, BTreeSet::from([name(1)]));
    jobs.done(&[name(1)]).await.unwrap();
    assert_eq!(jobs.next_due().await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_a_key_of_the_wrong_type() {
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
            let JobsError::Unusable(cause) = error else { panic!("{error}") };
            let cause = cause.to_string();
            assert!(cause.contains(&key) && cause.contains("set"), "{cause}");
        }
        // Once the key is repaired, an interrupted request can be repeated.
        raw(server.port(), &["DEL", &key]).await;
        jobs.schedule(&job(2)).await.unwrap();
        assert!(claim(&jobs, 1000).await.contains(&name(2)));
    }
}
