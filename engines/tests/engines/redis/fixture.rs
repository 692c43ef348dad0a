//! Jobs on a Redis server of their own.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::jobs::{DelayedJobs, Job};
use engines::redis::RedisJobs;
use redis::{Client, Value, cmd};
use testing::contract::{Data, Fresh};
use testing::servers::{Program, REDIS, Server};

/// By default Redis delays writes while an fsync is running, and a killed server loses what it delayed.
pub(super) const DURABLE_REDIS: Program = Program {
    arguments: |port, directory| {
        let mut arguments = (REDIS.arguments)(port, directory);
        arguments.extend(["--appendfsync", "always"].map(Into::into));
        arguments
    },
    ..REDIS
};

pub(super) const LEASE: Duration = Duration::from_secs(1);

pub(crate) async fn jobs() -> Fresh<dyn DelayedJobs> {
    Some(Box::new(Redis(Server::start(REDIS).await?)))
}

struct Redis(Server);

#[async_trait]
impl Data<dyn DelayedJobs> for Redis {
    async fn open(&self) -> Arc<dyn DelayedJobs> {
        Arc::new(connect(self.0.port()).await)
    }
}

pub(super) async fn connect(port: u16) -> RedisJobs {
    RedisJobs::connect(&format!("127.0.0.1:{port}").into(), "expiration", "ticketing").await.expect("a connection")
}

/// Runs a command through the bare driver.
pub(super) async fn raw(port: u16, command: &[&str]) -> Value {
    let client = Client::open(("127.0.0.1", port)).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a connection");
    let (name, arguments) = command.split_first().expect("a command");
    cmd(name).arg(arguments).query_async(&mut connection).await.expect("an answer")
}

pub(super) async fn schedule(jobs: &RedisJobs, number: u32) {
    jobs.schedule(&job(number)).await.expect("schedule");
}

/// Claims jobs at `now` and returns their ids.
pub(super) async fn claim(jobs: &RedisJobs, now: i64) -> BTreeSet<String> {
    jobs.claim(at(now), 1000, LEASE).await.expect("claim").into_iter().map(|job| job.id).collect()
}

/// A job that is due at 1000.
pub(super) fn job(number: u32) -> Job {
    Job { id: name(number), due: at(1000), payload: String::new() }
}

/// The id of a [`job`].
pub(super) fn name(number: u32) -> String {
    format!("{number:024x}")
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
