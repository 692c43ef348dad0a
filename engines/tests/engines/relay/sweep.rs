//! Events that a crashed replica leaves behind.

use std::sync::Arc;
use std::time::Duration;

use testing::wait_until;
use tokio_util::sync::CancellationToken;

use super::System;
use super::store::CountingStore;
use crate::mongo;

/// How often the holder of the lease sweeps.
const INTERVAL: Duration = Duration::from_secs(20);

/// How long a dead replica keeps the lease.
const LEASE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_event_left_behind_is_published_once_nobody_can_be_publishing_it() {
    let system = System::new().await;
    let _replica = Replica::start(&system).await;
    let left_behind = system.leave_behind().await;
    system.env.clock.advance(INTERVAL - Duration::from_secs(3));
    let young = system.leave_behind().await;
    system.env.clock.advance(Duration::from_secs(3));
    assert_eq!(system.arrived(1).await, [left_behind]);
    wait_until("a sweep", async || (system.waiting().await == [&*young]).then_some(())).await;
    system.env.clock.advance(INTERVAL);
    assert_eq!(system.arrived(1).await, [young]);
}

/// Two replicas, of which one is stopped by `stop` while it holds the lease. The other one takes over after `wait`.
async fn expect_one_to_sweep_at_a_time(system: System, wait: Duration, stop: impl AsyncFn(Replica)) {
    let mut replicas = Vec::new();
    for _ in 0..2 {
        replicas.push(Replica::start(&system).await);
    }
    for _ in 0..5 {
        let left_behind = system.leave_behind().await;
        system.env.clock.advance(INTERVAL);
        assert_eq!(system.arrived(1).await, [left_behind]);
        system.wait_for_empty_outbox().await;
    }
    let holder = replicas.iter().position(|replica| replica.store.reads() > 1).expect("a holder");
    let holder = replicas.remove(holder);
    assert_eq!(replicas[0].store.reads(), 1, "only the holder sweeps");

    stop(holder).await;
    let left_behind = system.leave_behind().await;
    system.env.clock.advance(wait);
    assert_eq!(system.arrived(1).await, [left_behind]);
}

/// A replica that has finished the sweep at its start.
struct Replica {
    store: Arc<CountingStore>,
    stop: CancellationToken,
    relay: tokio::task::JoinHandle<()>,
}

impl Replica {
    async fn start(system: &System) -> Self {
        let store = Arc::new(CountingStore::new(system.database.store().clone()));
        let stop = CancellationToken::new();
        let relay = system.start_relay_of(&system.replica(store.clone()), &stop);
        store.wait_for_reads(1).await;
        Self { store, stop, relay }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.relay.await.expect("no panic");
    }

    async fn crash(self) {
        self.relay.abort();
        assert!(self.relay.await.is_err());
    }
}

#[tokio::test]
async fn a_stopped_replica_passes_on_the_sweep_at_once() {
    expect_one_to_sweep_at_a_time(System::new().await, INTERVAL, Replica::stop).await;
}

#[tokio::test]
async fn another_replica_takes_over_the_sweep_from_one_that_crashed() {
    expect_one_to_sweep_at_a_time(System::new().await, LEASE, Replica::crash).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_on_mongodb_sweeps_at_a_time() {
    let Some(case) = mongo::Case::new().await else { return };
    let system = System::on_mongo(&case).await;
    expect_one_to_sweep_at_a_time(system, INTERVAL, Replica::stop).await;
}
