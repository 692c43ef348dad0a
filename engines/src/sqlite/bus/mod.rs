//! The bus on SQLite: an append-only log of events, and the progress of each durable.
//!
//! The log keeps every event, so that a new service catches up on history. A durable's *position* is a sequence number
//! up to which every event is settled or listed in the table `unsettled`. Events to retry are listed there, so they do
//! not hold up the position, and a restart repeats little.
//!
//! Another process may replay dead letters while this one reads: it adds them to `unsettled`, which readers check every
//! two seconds.

mod progress;
mod subscription;

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use common::bus::{Bus, BusError, DeadLetter, Durable, DurableProgress, Publisher, Subscription};
use common::events::{Message, Subject};
use common::trace::TraceParent;
use rusqlite::{Connection, Row, params};
use tokio::sync::watch;

use crate::sqlite::columns::message;
use crate::sqlite::file::SqliteFile;
use progress::Progress;
use subscription::{Consumer, SqliteSubscription};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        message_id TEXT NOT NULL UNIQUE,
        subject TEXT NOT NULL,
        payload TEXT NOT NULL,
        traceparent TEXT
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
        PRIMARY KEY (seq, durable)
    ) STRICT, WITHOUT ROWID;";

/// A bus in one SQLite file.
pub struct SqliteBus {
    file: SqliteFile,
    /// Notifies readers of new events.
    arrivals: HashMap<Subject, watch::Sender<()>>,
    consumers: Mutex<HashMap<&'static str, Arc<Consumer>>>,
    next_reader: AtomicU64,
}

impl SqliteBus {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> Result<Self, BusError> {
        Ok(Self::on(SqliteFile::open(path, SCHEMA)?))
    }

    /// Opens an existing file without changing it: every write fails. For tools.
    pub fn open_read_only(path: &Path) -> Result<Self, BusError> {
        Ok(Self::on(SqliteFile::open_read_only(path)?))
    }

    fn on(file: SqliteFile) -> Self {
        Self {
            file,
            arrivals: Subject::ALL.into_iter().map(|subject| (subject, watch::Sender::new(()))).collect(),
            consumers: Mutex::default(),
            next_reader: AtomicU64::new(0),
        }
    }

    /// The shared state of a durable's readers. Creates the durable if it is new.
    async fn consumer(&self, durable: Durable) -> Result<Arc<Consumer>, BusError> {
        let load = move |db: &Connection| {
            db.execute("INSERT OR IGNORE INTO durables (name, position) VALUES (?1, 0)", [durable.name])?;
            Progress::load(db, durable.name)
        };
        let progress = self.file.write(load).await?;
        let mut consumers = self.consumers();
        let consumer = consumers.entry(durable.name).or_insert_with(|| Arc::new(Consumer::new(durable, progress)));
        Ok(consumer.clone())
    }

    fn consumers(&self) -> MutexGuard<'_, HashMap<&'static str, Arc<Consumer>>> {
        self.consumers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Publisher for SqliteBus {
    async fn publish(&self, messages: &[Message]) -> Result<(), BusError> {
        let subjects: BTreeSet<Subject> = messages.iter().map(|message| message.subject).collect();
        let messages = messages.to_vec();
        let append = move |db: &Connection| {
            let mut insert = db.prepare_cached(
                "INSERT OR IGNORE INTO events (message_id, subject, payload, traceparent) VALUES (?1, ?2, ?3, ?4)",
            )?;
            for Message { id, subject, payload, traceparent } in &messages {
                let traceparent = traceparent.as_ref().map(TraceParent::to_string);
                insert.execute(params![id, subject.as_str(), payload, traceparent])?;
            }
            Ok(())
        };
        self.file.write(append).await?;
        for subject in subjects {
            self.arrivals[&subject].send_replace(());
        }
        Ok(())
    }
}

#[async_trait]
impl Bus for SqliteBus {
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(SqliteSubscription {
            file: self.file.clone(),
            consumer: self.consumer(durable).await?,
            arrivals: self.arrivals[&durable.subject].subscribe(),
            reader: self.next_reader.fetch_add(1, Ordering::Relaxed),
        }))
    }

    async fn history(&self, subject: Subject, after: u64, limit: usize) -> Result<Vec<(u64, Message)>, BusError> {
        let sql = "SELECT message_id, subject, payload, traceparent, seq FROM events
                   WHERE subject = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3";
        Ok(self.file.read(|db| {
            let event = |row: &Row<'_>| Ok((row.get(4)?, message(row, 0)?));
            db.prepare_cached(sql)?.query_map(params![subject.as_str(), seq(after), limit], event)?.collect()
        })?)
    }

    async fn progress(&self) -> Result<Vec<DurableProgress>, BusError> {
        let sql = "SELECT name, position, seq FROM durables LEFT JOIN unsettled ON durable = name ORDER BY name, seq";
        Ok(self.file.read(|db| {
            let mut all: Vec<DurableProgress> = Vec::new();
            let mut query = db.prepare_cached(sql)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                let durable: String = row.get(0)?;
                if all.last().is_none_or(|last| last.durable != durable) {
                    all.push(DurableProgress { durable, position: row.get(1)?, deferred: Vec::new() });
                }
                if let (Some(last), Some(seq)) = (all.last_mut(), row.get(2)?) {
                    last.deferred.push(seq);
                }
            }
            Ok(all)
        })?)
    }

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let Some((after, listener)) = after.map_or(Some((0, "")), parse_id) else { return Ok(Vec::new()) };
        let sql = "SELECT message_id, subject, payload, traceparent, durable, reason, attempts, seq
                   FROM dead_letters JOIN events USING (seq)
                   WHERE (seq, durable) > (?1, ?2) ORDER BY seq, durable LIMIT ?3";
        Ok(self.file.read(|db| {
            let dead_letter = |row: &Row<'_>| {
                let (seq, listener): (i64, String) = (row.get(7)?, row.get(4)?);
                Ok(DeadLetter {
                    id: format!("{seq}/{listener}"),
                    message: message(row, 0)?,
                    listener,
                    reason: row.get(5)?,
                    attempts: row.get(6)?,
                })
            };
            db.prepare_cached(sql)?.query_map(params![after, listener, limit], dead_letter)?.collect()
        })?)
    }

    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        let Some((seq, listener)) = parse_id(id) else { return Ok(false) };
        let durable = listener.to_owned();
        let redeliver = move |db: &Connection| {
            let found = remove_dead_letter(db, seq, &durable)?;
            if found {
                let sql = "INSERT OR IGNORE INTO unsettled (durable, seq, attempts) VALUES (?1, ?2, 0)";
                db.execute(sql, params![durable, seq])?;
            }
            Ok(found)
        };
        let found = self.file.write(redeliver).await?;
        if let Some(consumer) = self.consumers().get(listener) {
            consumer.check_replays();
        }
        Ok(found)
    }

    async fn drop_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        let Some((seq, listener)) = parse_id(id) else { return Ok(false) };
        let listener = listener.to_owned();
        Ok(self.file.write(move |db| remove_dead_letter(db, seq, &listener)).await?)
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(self.file.read(|db| db.query_row("SELECT 1", [], |_| Ok(())))?)
    }
}

/// Splits the id of a dead letter, `<seq>/<listener>`.
fn parse_id(id: &str) -> Option<(i64, &str)> {
    let (seq, listener) = id.split_once('/')?;
    Some((seq.parse().ok()?, listener))
}

/// Returns false if there is none.
fn remove_dead_letter(db: &Connection, seq: i64, durable: &str) -> rusqlite::Result<bool> {
    let removed = db.execute("DELETE FROM dead_letters WHERE seq = ?1 AND durable = ?2", params![seq, durable])?;
    Ok(removed > 0)
}

/// A position as SQLite stores it. No event has a higher one than `i64::MAX`.
fn seq(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}
