//! The tables, and how to change those of an older version.

use std::path::Path;
use std::time::Duration;

use common::clock::Timestamp;
use rusqlite::{Connection, Transaction, TransactionBehavior};

pub(super) const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL UNIQUE,
        subject TEXT NOT NULL,
        payload TEXT NOT NULL,
        traceparent TEXT,
        stored_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS events_by_subject ON events (subject, seq);
    CREATE TABLE IF NOT EXISTS durables (
        name TEXT PRIMARY KEY, position INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS unsettled (
        durable TEXT NOT NULL, seq INTEGER NOT NULL, attempts INTEGER NOT NULL, PRIMARY KEY (durable, seq)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS replayed ON unsettled (durable) WHERE attempts = 0;
    CREATE TABLE IF NOT EXISTS dead_letters (
        durable TEXT NOT NULL, seq INTEGER NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
        message_id TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL, traceparent TEXT,
        PRIMARY KEY (seq, durable)
    ) STRICT, WITHOUT ROWID;";

/// Gives each dead letter a copy of its event.
const COPY_EVENTS: &str = "
    CREATE TABLE new_dead_letters (
        durable TEXT NOT NULL, seq INTEGER NOT NULL, attempts INTEGER NOT NULL, reason TEXT NOT NULL,
        message_id TEXT NOT NULL, subject TEXT NOT NULL, payload TEXT NOT NULL, traceparent TEXT,
        PRIMARY KEY (seq, durable)
    ) STRICT, WITHOUT ROWID;
    INSERT INTO new_dead_letters
        SELECT durable, seq, attempts, reason, message_id, subject, payload, traceparent
        FROM dead_letters JOIN events USING (seq);
    DROP TABLE dead_letters;
    ALTER TABLE new_dead_letters RENAME TO dead_letters;";

/// Changes the tables that an older version has created. Its events count as stored now.
pub(super) fn migrate(path: &Path, now: Timestamp) -> rusqlite::Result<()> {
    if !path.exists() {
        return Ok(());
    }
    let db = Connection::open(path)?;
    // A tool may have it open.
    db.busy_timeout(Duration::from_secs(2))?;
    let transaction = Transaction::new_unchecked(&db, TransactionBehavior::Immediate)?;
    if lacks_column(&transaction, "dead_letters", "payload")? {
        transaction.execute_batch(COPY_EVENTS)?;
    }
    if lacks_column(&transaction, "events", "stored_at")? {
        let add = format!("ALTER TABLE events ADD COLUMN stored_at INTEGER NOT NULL DEFAULT {}", now.as_millis());
        transaction.execute_batch(&add)?;
    }
    transaction.commit()
}

/// Whether a table exists without this column.
fn lacks_column(db: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) > 0 AND NOT max(name = ?2) FROM pragma_table_info(?1)";
    db.query_row(sql, [table, column], |row| row.get::<_, Option<bool>>(0)).map(Option::unwrap_or_default)
}
