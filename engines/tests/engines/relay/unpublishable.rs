//! Entries that cannot be published.

use std::time::Duration;

use common::events::TicketCreated;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use mongodb::bson::doc;
use rusqlite::Connection;
use testing::servers::{NATS, Server};
use testing::{message, soon, wait_until};
use tokio_util::sync::CancellationToken;

use super::{Show, System};
use crate::{mongo, nats};

/// How often the holder of the lease sweeps.
const INTERVAL: Duration = Duration::from_secs(20);

/// The metrics of this test, which runs on one thread.
struct Metrics {
    handle: PrometheusHandle,
    _recording: metrics::LocalRecorderGuard<'static>,
}

impl Metrics {
    fn record() -> Self {
        let recorder = Box::leak(Box::new(PrometheusBuilder::new().build_recorder()));
        Self { handle: recorder.handle(), _recording: metrics::set_default_local_recorder(recorder) }
    }

    async fn wait_until_unpublishable(&self, count: usize) {
        let line = format!("outbox_unpublishable{{service=\"shows\"}} {count}");
        wait_until(&line, async || self.handle.render().lines().any(|other| other == line).then_some(())).await;
    }
}

/// `set_subject` changes the subject of an entry in the database, given its message id.
async fn expect_an_unknown_subject_to_block_only_its_event(
    system: System,
    set_subject: impl AsyncFn(&str, &'static str),
) {
    let metrics = Metrics::record();
    let (show, unknown) = system.insert().await;
    set_subject(&unknown, "ticket:archived").await;
    let (_, other) = system.insert().await;
    let later = system.change(show).await;
    // A new database, so that nothing is handed over.
    let database = system.replica(system.database.store().clone());
    system.start_relay_of(&database, &CancellationToken::new());
    let mut arrived = system.arrived(2).await;
    arrived.sort();
    let mut expected = vec![other, later];
    expected.sort();
    assert_eq!(arrived, expected);
    metrics.wait_until_unpublishable(1).await;
    let left = system.database.store().unpublished(10).await.expect("the outbox");
    assert_eq!((left.events.len(), left.invalid.len()), (0, 1));

    // As after an upgrade to a version that knows the subject.
    set_subject(&unknown, "ticket:created").await;
    system.env.clock.advance(INTERVAL);
    assert_eq!(system.arrived(1).await, [unknown]);
    metrics.wait_until_unpublishable(0).await;
    system.wait_for_empty_outbox().await;
}

#[tokio::test]
async fn an_event_with_an_unknown_subject_blocks_only_itself_on_sqlite() {
    let system = System::new().await;
    let file = Connection::open(system.env.directory().join("test.db")).unwrap();
    let set_subject = async |id: &str, subject: &'static str| {
        let sql = "UPDATE outbox SET subject = ?2 WHERE message_id = ?1";
        assert_eq!(file.execute(sql, [id, subject]).unwrap(), 1);
    };
    expect_an_unknown_subject_to_block_only_its_event(system, set_subject).await;
}

#[tokio::test]
async fn an_event_with_an_unknown_subject_blocks_only_itself_on_mongodb() {
    let Some(case) = mongo::Case::new().await else { return };
    let (system, shows) = (System::on_mongo(&case).await, case.collection("shows").await);
    let set_subject = async |id: &str, subject: &'static str| {
        let change = doc! { "$set": { "outbox.0.subject": subject } };
        assert_eq!(shows.update_one(doc! { "outbox.0.id": id }, change).await.unwrap().matched_count, 1);
    };
    expect_an_unknown_subject_to_block_only_its_event(system, set_subject).await;
}

/// NATS refuses messages of more than a megabyte.
#[tokio::test]
async fn an_event_that_is_too_large_for_nats_blocks_only_itself() {
    let Some(server) = Server::start(NATS).await else { return };
    let (system, metrics) = (System::with_bus(nats::connect(server.port()).await).await, Metrics::record());
    system.bus.interrupt();
    system.start_relay(&CancellationToken::new());
    let (_, before) = system.insert().await;
    let show = Show::new(&system.env);
    let large = TicketCreated { title: "x".repeat(2_000_000), ..show.event() };
    let refused = message(&large).id;
    system.shows.insert(&show, large).await.unwrap();
    let (_, after) = system.insert().await;
    system.bus.resume();
    assert_eq!(system.arrived(2).await, [before, after]);
    metrics.wait_until_unpublishable(1).await;
    assert_eq!(system.waiting().await, [&*refused]);

    // The sweep does not stop at it either.
    let left_behind = system.leave_behind().await;
    system.env.clock.advance(INTERVAL);
    assert_eq!(system.arrived(1).await, [left_behind]);
    wait_until("the sweep", async || (system.waiting().await == [&*refused]).then_some(())).await;
    metrics.wait_until_unpublishable(1).await;
}

#[tokio::test]
async fn an_event_that_the_bus_refuses_is_published_once_the_bus_accepts_it() {
    let (system, metrics) = (System::new().await, Metrics::record());
    let mut stored = Vec::new();
    for _ in 0..5 {
        stored.push(system.insert().await.1);
    }
    system.bus.refuse(Some(stored[2].clone()));
    system.start_relay(&CancellationToken::new());
    assert_eq!(system.arrived(4).await, [&stored[..2], &stored[3..]].concat());
    metrics.wait_until_unpublishable(1).await;
    assert_eq!(system.waiting().await, [&*stored[2]]);

    // An outage makes no other event unpublishable.
    system.bus.interrupt();
    let (_, other) = system.insert().await;
    soon("refused attempts", system.bus.wait_for_refusals(10)).await;
    system.bus.resume();
    assert_eq!(system.arrived(1).await, [other]);
    metrics.wait_until_unpublishable(1).await;

    system.bus.refuse(None);
    system.env.clock.advance(INTERVAL);
    assert_eq!(system.arrived(1).await, [&*stored[2]]);
    metrics.wait_until_unpublishable(0).await;
    system.wait_for_empty_outbox().await;
}
