//! The bus on SQLite: an append-only log of events, and the progress of each durable.
//!
//! The log keeps each event for the configured time, so that a new service catches up on history, and longer if a durable
//! has not passed it. A durable's *position* is a sequence number
//! up to which every event is settled or listed in the table `unsettled`. Events to retry are listed there, so they do
//! not hold up the position, and a restart repeats little.
//!
//! Another process may replay dead letters while this one reads: it adds them to `unsettled`, which readers check every
//! two seconds.

mod history;
mod progress;
mod retention;
mod schema;
mod subscription;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{
    Bus, BusError, DeadLetter, Durable, DurableProgress, HistoryStart, Page, Publisher, Receipt, Subscription,
};
use common::clock::{Clock, SystemClock, Timestamp};
use common::events::{Message, Subject};
use common::trace::TraceParent;
use futures_util::stream::{self, BoxStream};
use rusqlite::{Connection, Row, params};
use tokio::sync::watch;

use crate::sqlite::columns::message;
use crate::sqlite::file::SqliteFile;
use progress::Progress;
use retention::oldest_unhandled;
use schema::{SCHEMA, migrate};
use subscription::{Consumer, SqliteSubscription};

/// A bus in one SQLite file.
pub struct SqliteBus {
    path: PathBuf,
    file: SqliteFile,
    clock: Arc<dyn Clock>,
    retention: Option<Duration>,
    /// Notifies readers of new events.
    arrivals: HashMap<Subject, watch::Sender<()>>,
    consumers: Mutex<HashMap<&'static str, Arc<Consumer>>>,
    next_reader: AtomicU64,
}

impl SqliteBus {
    /// Opens or creates the file. Keeps all events.
    pub fn open(path: &Path) -> Result<Self, BusError> {
        Self::open_with(path, Arc::new(SystemClock), None)
    }

    /// Opens or creates the file. The clock dates events, which are kept for the time of `retention`, or all of them.
    pub fn open_with(path: &Path, clock: Arc<dyn Clock>, retention: Option<Duration>) -> Result<Self, BusError> {
        migrate(path, clock.now())?;
        Ok(Self::on(SqliteFile::open(path, SCHEMA)?, path, clock, retention))
    }

    /// Opens an existing file without changing it: every write fails. For tools.
    pub fn open_read_only(path: &Path) -> Result<Self, BusError> {
        Ok(Self::on(SqliteFile::open_read_only(path)?, path, Arc::new(SystemClock), None))
    }

    fn on(file: SqliteFile, path: &Path, clock: Arc<dyn Clock>, retention: Option<Duration>) -> Self {
        Self {
            path: path.to_owned(),
            file,
            clock,
            retention,
            arrivals: Subject::ALL.into_iter().map(|subject| (subject, watch::Sender::new(()))).collect(),
            consumers: Mutex::default(),
            next_reader: AtomicU64::new(0),
        }
    }

    /// The shared state of a durable's readers. Creates the durable if it is new.
    async fn consumer(&self, durable: Durable) -> Result<Arc<Consumer>, BusError> {
        let load = move |db: &Connection| {
            let created =
                db.execute("INSERT OR IGNORE INTO durables (name, position) VALUES (?1, 0)", [durable.name])?;
            let history = if created > 0 { Some(history_of(db, durable.subject)?) } else { None };
            Ok((Progress::load(db, durable.name)?, history))
        };
        let (progress, history) = self.file.write(load).await?;
        if let Some((first, waiting)) = history {
            durable.report_created(first, waiting);
        }
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
    async fn publish(&self, messages: &[Message]) -> Result<Option<Receipt>, BusError> {
        let Some(last) = messages.last().map(|last| last.id.clone()) else { return Ok(None) };
        let subjects: BTreeSet<Subject> = messages.iter().map(|message| message.subject).collect();
        let (messages, now) = (messages.to_vec(), self.clock.now().as_millis());
        let append = move |db: &Connection| {
            let mut insert = db.prepare_cached(
                "INSERT OR IGNORE INTO events (message_id, subject, payload, traceparent, stored_at)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for Message { id, subject, payload, traceparent } in &messages {
                let traceparent = traceparent.as_ref().map(TraceParent::to_string);
                insert.execute(params![id, subject.as_str(), payload, traceparent, now])?;
            }
            // It may have been published before.
            let position = "SELECT seq FROM events WHERE message_id = ?1";
            let position = db.prepare_cached(position)?.query_row([&last], |row| row.get(0))?;
            Ok(Receipt { position, message_id: last.clone(), connection: 0 })
        };
        let receipt = self.file.write(append).await?;
        for subject in subjects {
            self.arrivals[&subject].send_replace(());
        }
        Ok(Some(receipt))
    }

    async fn has(&self, receipt: &Receipt) -> Result<bool, BusError> {
        let Receipt { position, message_id, .. } = receipt;
        // Events are deleted from the oldest on. If none is left, `sqlite_sequence` still has the highest position.
        let sql = "SELECT coalesce(
                       (SELECT message_id = ?2 FROM events WHERE seq = ?1),
                       ?1 < (SELECT min(seq) FROM events),
                       ?1 <= (SELECT seq FROM sqlite_sequence WHERE name = 'events'),
                       FALSE)";
        // No event has a higher position than `i64::MAX`.
        let parameters = params![i64::try_from(*position).unwrap_or(i64::MAX), message_id];
        Ok(self.file.read(|db| db.prepare_cached(sql)?.query_row(parameters, |row| row.get(0)))?)
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

    fn history(&self, subjects: &'static [Subject], start: HistoryStart) -> BoxStream<'_, Result<Page, BusError>> {
        Box::pin(stream::try_unfold(start, move |start| async move {
            let page = self.file.read(|db| history::read(db, subjects, start))?;
            Ok(page.map(|(page, end)| (page, HistoryStart::After(end))))
        }))
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
                   FROM dead_letters WHERE (seq, durable) > (?1, ?2) ORDER BY seq, durable LIMIT ?3";
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
        let (durable, now) = (listener.to_owned(), self.clock.now());
        let redeliver = move |db: &Connection| {
            redeliver(db, seq, &durable, now)?;
            remove_dead_letter(db, seq, &durable)
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

    async fn lag(&self, durable: Durable) -> Result<Duration, BusError> {
        let stored_at = self.file.read(|db| oldest_unhandled(db, durable))?;
        Ok(stored_at.map_or(Duration::ZERO, |stored_at| self.clock.now().since(stored_at)))
    }

    fn retention(&self) -> Option<Duration> {
        self.retention
    }

    async fn delete_old_events(&self, durables: &[Durable]) -> Result<(), BusError> {
        let Some(retention) = self.retention else { return Ok(()) };
        let before = self.clock.now().minus(retention);
        retention::delete_old_events(&self.file, before).await?;
        retention::report_unread(&self.file, &self.path, before, durables)
    }

    async fn ping(&self) -> Result<(), BusError> {
        Ok(self.file.read(|db| db.query_row("SELECT 1", [], |_| Ok(())))?)
    }
}

/// The position of the first event, or of the next if there is none, and how many there are of this subject.
fn history_of(db: &Connection, subject: Subject) -> rusqlite::Result<(u64, u64)> {
    let sql = "SELECT ifnull((SELECT min(seq) FROM events), ifnull((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) + 1),
                      (SELECT count(*) FROM events WHERE subject = ?1)";
    db.query_row(sql, [subject.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Splits the id of a dead letter, `<seq>/<listener>`.
fn parse_id(id: &str) -> Option<(i64, &str)> {
    let (seq, listener) = id.split_once('/')?;
    Some((seq.parse().ok()?, listener))
}

/// Lists a dead letter's event for redelivery. If the event was deleted, stores it again.
fn redeliver(db: &Connection, seq: i64, durable: &str, now: Timestamp) -> rusqlite::Result<()> {
    let restore = "INSERT OR IGNORE INTO events (seq, message_id, subject, payload, traceparent, stored_at)
                   SELECT seq, message_id, subject, payload, traceparent, ?3 FROM dead_letters
                   WHERE seq = ?1 AND durable = ?2";
    db.execute(restore, params![seq, durable, now.as_millis()])?;
    // Not by its number: after it was deleted, the event may have been published again.
    let list = "INSERT OR IGNORE INTO unsettled (durable, seq, attempts)
                SELECT ?2, events.seq, 0 FROM events JOIN dead_letters USING (message_id)
                WHERE dead_letters.seq = ?1 AND durable = ?2";
    db.execute(list, params![seq, durable]).map(|_| ())
}

/// Returns false if there is none.
fn remove_dead_letter(db: &Connection, seq: i64, durable: &str) -> rusqlite::Result<bool> {
    let removed = db.execute("DELETE FROM dead_letters WHERE seq = ?1 AND durable = ?2", params![seq, durable])?;
    Ok(removed > 0)
}
