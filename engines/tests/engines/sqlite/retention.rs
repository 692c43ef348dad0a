//! How long the bus keeps events and dead letters.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::bus::{Bus, Durable, Publisher, Subscription, Verdict};
use common::events::Subject;
use engines::sqlite::SqliteBus;
use rusqlite::Connection;
use testing::TestEnv;
use testing::contract::bus::fixture::{TICKETS, history, message, messages, number, take, take_one};

use crate::log;

const DAY: Duration = Duration::from_secs(24 * 3600);

const PAYMENTS: Durable = Durable { name: "payments_order-created", subject: Subject::OrderCreated };

/// A durable of a subject without events.
const QUIET: Durable = Durable { name: "orders_payment-failed", subject: Subject::PaymentFailed };

/// A directory, whose clock the bus uses.
struct Retained(TestEnv);

impl Retained {
    fn file(&self) -> PathBuf {
        self.0.directory().join("events.db")
    }

    /// Opens a bus that keeps events for thirty days.
    fn open(&self) -> SqliteBus {
        SqliteBus::open_with(&self.file(), Arc::new(self.0.clock.clone()), Some(30 * DAY)).expect("a bus")
    }

    fn days_later(&self, days: u32) {
        self.0.clock.advance(days * DAY);
    }
}

/// The numbers of the events that are left.
async fn left(bus: &SqliteBus) -> Vec<u32> {
    history(bus).await.into_iter().map(|message| message.payload.parse().expect("a number")).collect()
}

async fn ack(reader: &dyn Subscription, count: usize) {
    for delivery in take(reader, count).await {
        reader.settle(&delivery, Verdict::Ack).await.expect("settled");
    }
}

/// Waits for earlier writes, among them those of positions.
async fn settle_positions(bus: &SqliteBus) {
    bus.publish(&[]).await.expect("published");
}

#[tokio::test]
async fn events_are_deleted_once_they_are_old_and_every_durable_has_passed_them() {
    let data = Retained(TestEnv::new());
    let bus = data.open();
    let (tickets, payments) = (bus.subscribe(TICKETS).await.unwrap(), bus.subscribe(PAYMENTS).await.unwrap());
    let _quiet = bus.subscribe(QUIET).await.unwrap();
    bus.publish(&messages(0..1200)).await.unwrap();
    ack(&*tickets, 1200).await;
    ack(&*payments, 1100).await;
    settle_positions(&bus).await;
    data.days_later(29);
    bus.publish(&messages(1200..1202)).await.unwrap();
    let delete = async || bus.delete_old_events(&[TICKETS, PAYMENTS, QUIET]).await.unwrap();
    delete().await;
    assert_eq!(left(&bus).await.len(), 1202, "none is old");

    data.days_later(2);
    delete().await;
    assert_eq!(left(&bus).await, (1100..1202).collect::<Vec<_>>(), "payments needs the rest");
    ack(&*payments, 100).await;
    settle_positions(&bus).await;
    delete().await;
    assert_eq!(left(&bus).await, [1200, 1201]);

    // Both go on after that, and a new durable starts at the beginning of what is left.
    assert_eq!(number(&take_one(&*tickets).await), 1200);
    assert_eq!(number(&take_one(&*payments).await), 1200);
    let new = bus.subscribe(Durable { name: "expiration_order-created", ..TICKETS }).await.unwrap();
    assert_eq!(number(&take_one(&*new).await), 1200);
}

#[tokio::test]
async fn an_event_that_is_deferred_is_kept() {
    let data = Retained(TestEnv::new());
    let bus = data.open();
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..10)).await.unwrap();
    let deferred = take(&*reader, 10).await;
    for delivery in &deferred {
        let verdict = if number(delivery) == 4 { Verdict::Retry(Duration::ZERO) } else { Verdict::Ack };
        reader.settle(delivery, verdict).await.unwrap();
    }
    settle_positions(&bus).await;
    data.days_later(31);
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    assert_eq!(left(&bus).await.first(), Some(&4));
    ack(&*reader, 1).await;
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    assert_eq!(left(&bus).await, [0; 0]);
}

#[tokio::test]
async fn without_a_retention_events_are_kept() {
    let data = Retained(TestEnv::new());
    let bus = SqliteBus::open_with(&data.file(), Arc::new(data.0.clock.clone()), None).unwrap();
    bus.publish(&messages(0..10)).await.unwrap();
    data.days_later(10_000);
    bus.delete_old_events(&[]).await.unwrap();
    assert_eq!(left(&bus).await.len(), 10);
}

#[tokio::test]
async fn a_dead_letter_outlives_its_event_and_can_be_replayed() {
    let data = Retained(TestEnv::new());
    let bus = data.open();
    let reader = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..2)).await.unwrap();
    for delivery in take(&*reader, 2).await {
        reader.settle(&delivery, Verdict::Reject("never".into())).await.unwrap();
    }
    settle_positions(&bus).await;
    data.days_later(31);
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    assert_eq!(left(&bus).await, [0; 0]);

    // The second event is published again meanwhile.
    bus.publish(&messages(1..2)).await.unwrap();
    ack(&*reader, 1).await;
    let letters = bus.dead_letters(None, 10).await.unwrap();
    assert_eq!(letters.iter().map(|letter| &letter.message).collect::<Vec<_>>(), [&message(0), &message(1)]);
    for (letter, expected) in letters.iter().zip([0, 1]) {
        assert!(bus.replay_dead_letter(&letter.id).await.unwrap());
        let delivery = take_one(&*reader).await;
        assert_eq!((number(&delivery), delivery.attempt), (expected, 1));
        reader.settle(&delivery, Verdict::Retry(Duration::ZERO)).await.unwrap();
        bus.delete_old_events(&[TICKETS]).await.unwrap();
        ack(&*reader, 1).await;
    }
    assert_eq!(bus.dead_letters(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn a_listener_that_does_not_run_is_reported_when_it_holds_events_back() {
    let (log, _guard) = log::capture();
    let data = Retained(TestEnv::new());
    let bus = data.open();
    bus.subscribe(PAYMENTS).await.unwrap();
    let tickets = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..1)).await.unwrap();
    ack(&*tickets, 1).await;
    settle_positions(&bus).await;
    let command = ["DELETE FROM durables WHERE name = 'payments_order-created'", "events.db"];
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    data.days_later(31);
    bus.delete_old_events(&[TICKETS, PAYMENTS]).await.unwrap();
    assert_eq!(log.lines(&command), [""; 0], "not before, and not while it runs");
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    assert_eq!(log.lines(&command).len(), 1);
    assert_eq!(left(&bus).await, [0]);

    // The reported statements help.
    let statements = "DELETE FROM durables WHERE name = 'payments_order-created'";
    Connection::open(data.file()).unwrap().execute_batch(statements).unwrap();
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    assert_eq!(left(&bus).await, [0; 0]);
}

/// The tables of the version before events had a time and dead letters a copy of their event.
const OLD_SCHEMA: &str = "
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, subject TEXT NOT NULL,
        payload TEXT NOT NULL, traceparent TEXT
    ) STRICT;
    CREATE TABLE durables (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE dead_letters (
        durable TEXT NOT NULL, seq INTEGER NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (seq, durable)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO events (message_id, subject, payload) VALUES
        ('order:created/0/0', 'order:created', '0'), ('order:created/1/0', 'order:created', '1');
    INSERT INTO durables VALUES ('tickets_order-created', 2);
    INSERT INTO dead_letters VALUES ('tickets_order-created', 1, 3, 'never');";

#[tokio::test]
async fn a_file_of_an_older_version_is_changed_in_place() {
    let data = Retained(TestEnv::new());
    Connection::open(data.file()).unwrap().execute_batch(OLD_SCHEMA).unwrap();
    for days in [20, 11] {
        // The second time nothing is left to change.
        let bus = data.open();
        bus.delete_old_events(&[TICKETS]).await.unwrap();
        assert_eq!(left(&bus).await, [0, 1], "old events count as stored when the file was changed");
        data.days_later(days);
    }
    let bus = data.open();
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    assert_eq!(left(&bus).await, [0; 0]);
    let letter = bus.dead_letters(None, 10).await.unwrap().remove(0);
    let expected = ("1/tickets_order-created", TICKETS.name, "never", 3);
    assert_eq!((&*letter.id, &*letter.listener, &*letter.reason, letter.attempts), expected);
    assert_eq!(letter.message, message(0));
}

#[tokio::test]
async fn a_listener_that_is_new_says_where_it_starts() {
    let (log, _guard) = log::capture();
    let data = Retained(TestEnv::new());
    let bus = data.open();
    let tickets = bus.subscribe(TICKETS).await.unwrap();
    bus.publish(&messages(0..2)).await.unwrap();
    bus.subscribe(QUIET).await.unwrap();
    assert_eq!(log.lines(&["WARN"]), [""; 0], "there are no events for them");
    bus.subscribe(PAYMENTS).await.unwrap();
    assert_eq!(log.lines(&["WARN", PAYMENTS.name, "it starts with the first event"]).len(), 1);

    Connection::open(data.file()).unwrap().execute("DELETE FROM durables WHERE name LIKE 'payments%'", []).unwrap();
    ack(&*tickets, 2).await;
    settle_positions(&bus).await;
    drop((tickets, bus));
    data.days_later(31);
    let bus = data.open();
    bus.delete_old_events(&[TICKETS]).await.unwrap();
    bus.subscribe(TICKETS).await.unwrap();
    bus.subscribe(PAYMENTS).await.unwrap();
    assert_eq!(log.lines(&["WARN", PAYMENTS.name, "ticketing republish orders"]).len(), 1);
    assert_eq!(log.lines(&["WARN", TICKETS.name]), [""; 0], "it is not new");
}
