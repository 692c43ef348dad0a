//! Reads the system's databases.
//!
//! It uses SQL because the ports do not show how far a durable has read and cannot check a file for corruption. It also
//! checks the engines independently of their own code.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde::de::DeserializeOwned;
use testing::system::System;
use testing::system::records::Records;
use testing::{TIMEOUT, wait_until_ok};

/// Events that a durable has not read yet. Its name ends in the subject it reads, and everything up to its position is
/// handled or listed as unsettled.
const UNREAD: &str = "SELECT durables.name || ' has not read ' || message_id FROM durables JOIN events
    ON subject = replace(substr(name, instr(name, '_') + 1), '-', ':') AND seq > position";
const UNSETTLED: &str = "SELECT durable || ' retries ' || message_id FROM unsettled JOIN events USING (seq)";
const DEAD_LETTERS: &str = "SELECT durable || ' rejected ' || message_id || ': ' || reason FROM dead_letters";

/// Waits until the services agree with each other and have nothing left to do.
pub(crate) async fn wait_until_consistent(system: &System) {
    wait_until_ok(async || {
        let records = read(system.directory());
        assert_eq!(records.double_bookings(), Vec::<String>::new());
        let inconsistencies = records.inconsistencies();
        if inconsistencies.is_empty() { Ok(()) } else { Err(inconsistencies.join("\n")) }
    })
    .await;
}

/// Checks all databases for corruption.
pub(crate) fn assert_nothing_is_corrupt(system: &System) {
    for database in system.databases() {
        assert_eq!(texts(&open(&database), "PRAGMA integrity_check"), ["ok"], "{database:?}");
    }
}

/// Opens a database to read it, whether or not the system is running.
pub(crate) fn open(path: &Path) -> Connection {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(TIMEOUT).unwrap();
    connection
}

/// The first column of a query's result.
pub(crate) fn texts(database: &Connection, sql: &str) -> Vec<String> {
    let mut query = database.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn read(directory: &Path) -> Records {
    let open = |file: &str| open(&directory.join(file));
    let tickets = documents(&open("tickets.db"), "tickets");
    let orders = documents(&open("orders.db"), "orders");
    let payments = documents(&open("payments.db"), "payments");
    let mut pending = Vec::new();
    for service in ["tickets", "orders", "payments"] {
        let unpublished = texts(&open(&format!("{service}.db")), "SELECT message_id FROM outbox");
        pending.extend(unpublished.into_iter().map(|id| format!("{id} is in the outbox of {service}")));
    }
    let events = open("events.db");
    pending.extend([UNREAD, UNSETTLED, DEAD_LETTERS].into_iter().flat_map(|sql| texts(&events, sql)));
    Records::new(tickets, orders, payments, pending)
}

fn documents<T: DeserializeOwned>(database: &Connection, collection: &str) -> Vec<T> {
    let bodies = texts(database, &format!("SELECT body FROM {collection}"));
    bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}
