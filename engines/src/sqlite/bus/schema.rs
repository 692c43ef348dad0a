//! The tables, and how to change those of an older version.

use std::path::Path;

use common::clock::Timestamp;

use crate::sqlite::error::SqliteError;
use crate::sqlite::migration::{self, add_column, lacks_column};

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
pub(super) fn migrate(path: &Path, now: Timestamp) -> Result<(), SqliteError> {
    migration::migrate(path, |db| {
        if lacks_column(db, "dead_letters", "payload")? {
            db.execute_batch(COPY_EVENTS)?;
        }
        add_column(db, "events", "stored_at", &format!("INTEGER NOT NULL DEFAULT {}", now.as_millis()))
    })
}
