//! The bus on SQLite: an append-only log in one file, and where each durable stands in it.
//!
//! The log keeps every event, so that a new service catches up on history. A durable's *position* says that every
//! event up to it is settled, but for those set down in `unsettled`: an event whose handling is put off does not hold
//! up the position, so a restart repeats little.
//!
//! Another process may replay dead letters while this one reads: it adds to `unsettled`, where readers look every now
//! and then.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{Bus, BusError, DeadLetter, Delivery, Durable, Publisher, Subscription, Verdict};
use common::events::{Message, Subject};
use common::trace::TraceParent;
use rusqlite::{Connection, Row, params};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use super::columns::message;
use super::file::{SqliteError, SqliteFile};

/// How often a durable looks for what another process has replayed.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

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
    /// Told when a subject has a new event.
    arrivals: HashMap<Subject, watch::Sender<()>>,
    consumers: Mutex<HashMap<&'static str, Arc<Consumer>>>,
}

impl SqliteBus {
    /// Opens the file, or creates it.
    pub fn open(path: &Path) -> Result<Self, BusError> {
        Ok(Self {
            file: SqliteFile::open(path, SCHEMA)?,
            arrivals: Subject::ALL.into_iter().map(|subject| (subject, watch::Sender::new(()))).collect(),
            consumers: Mutex::default(),
        })
    }

    async fn consumer(&self, durable: Durable) -> Result<Arc<Consumer>, BusError> {
        let begin = move |db: &Connection| {
            db.execute("INSERT OR IGNORE INTO durables (name, position) VALUES (?1, 0)", [durable.name])?;
            Progress::load(db, durable.name)
        };
        let progress = self.file.write(begin).await?;
        let mut consumers = lock(&self.consumers);
        let consumer = consumers.entry(durable.name).or_insert_with(|| {
            Arc::new(Consumer {
                durable,
                progress: Mutex::new(progress),
                save_queued: AtomicBool::new(false),
                returned: Notify::new(),
            })
        });
        Ok(consumer.clone())
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
                let traceparent = traceparent.as_ref().map(TraceParent::as_str);
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
        static READERS: AtomicU64 = AtomicU64::new(0);
        Ok(Box::new(SqliteSubscription {
            file: self.file.clone(),
            consumer: self.consumer(durable).await?,
            arrivals: self.arrivals[&durable.subject].subscribe(),
            reader: READERS.fetch_add(1, Ordering::Relaxed),
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

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let Some((after, listener)) = after.map_or(Some((0, "")), parse_id) else { return Ok(Vec::new()) };
        let sql = "SELECT message_id, subject, payload, traceparent, durable, reason, attempts, seq
                   FROM dead_letters JOIN events USING (seq)
                   WHERE (seq, durable) > (?1, ?2) ORDER BY seq, durable LIMIT ?3";
        Ok(self.file.read(|db| {
            let letter = |row: &Row<'_>| {
                let (seq, listener): (i64, String) = (row.get(7)?, row.get(4)?);
                Ok(DeadLetter {
                    id: format!("{seq}/{listener}"),
                    message: message(row, 0)?,
                    listener,
                    reason: row.get(5)?,
                    attempts: row.get(6)?,
                })
            };
            db.prepare_cached(sql)?.query_map(params![after, listener, limit], letter)?.collect()
        })?)
    }

    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        let Some((seq, listener)) = parse_id(id) else { return Ok(false) };
        let durable = listener.to_owned();
        let put_back = move |db: &Connection| {
            let found = remove_dead_letter(db, seq, &durable)?;
            if found {
                let sql = "INSERT OR IGNORE INTO unsettled (durable, seq, attempts) VALUES (?1, ?2, 0)";
                db.execute(sql, params![durable, seq])?;
            }
            Ok(found)
        };
        let found = self.file.write(put_back).await?;
        if let Some(consumer) = lock(&self.consumers).get(listener) {
            lock(&consumer.progress).looked_at = None;
            consumer.returned.notify_one();
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

/// What the readers of one durable share.
struct Consumer {
    durable: Durable,
    progress: Mutex<Progress>,
    /// Whether a write of the position waits in the queue already.
    save_queued: AtomicBool,
    /// Told when a reader went away and left deliveries to the others.
    returned: Notify,
}

#[derive(Default)]
struct Progress {
    /// Everything up to here has been read from the log.
    cursor: i64,
    in_flight: BTreeMap<i64, InFlight>,
    /// To be delivered again, and how often it has been.
    later: BTreeMap<i64, u32>,
    /// When each of `later` is due.
    due: BTreeSet<(Instant, i64)>,
    /// When `unsettled` was last read, unless it is to be read at once.
    looked_at: Option<Instant>,
}

struct InFlight {
    reader: u64,
    attempt: u32,
    /// Whether it is in `unsettled`, so that the position may pass it.
    set_down: bool,
}

impl Progress {
    fn load(db: &Connection, durable: &str) -> rusqlite::Result<Self> {
        let cursor = db.query_row("SELECT position FROM durables WHERE name = ?1", [durable], |row| row.get(0))?;
        let mut progress = Self { cursor, ..Self::default() };
        progress.take_in(db, durable, "SELECT seq, attempts FROM unsettled WHERE durable = ?1")?;
        Ok(progress)
    }

    /// Looks for what somebody else has put back: it counts as never delivered.
    fn look(&mut self, db: &Connection, durable: &str) -> rusqlite::Result<()> {
        self.take_in(db, durable, "SELECT seq, attempts FROM unsettled WHERE durable = ?1 AND attempts = 0")
    }

    /// Takes in what is to be delivered again and not known yet.
    fn take_in(&mut self, db: &Connection, durable: &str, sql: &str) -> rusqlite::Result<()> {
        let now = Instant::now();
        let mut query = db.prepare_cached(sql)?;
        let mut rows = query.query([durable])?;
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            if !self.is_known(seq) {
                self.put_off(seq, row.get(1)?, now);
            }
        }
        self.looked_at = Some(now);
        Ok(())
    }

    fn put_off(&mut self, seq: i64, attempts: u32, until: Instant) {
        self.later.insert(seq, attempts);
        self.due.insert((until, seq));
    }

    fn position(&self) -> i64 {
        let first_open = self.in_flight.iter().find(|(_, delivery)| !delivery.set_down);
        first_open.map_or(self.cursor, |(seq, _)| seq - 1)
    }

    fn is_known(&self, seq: i64) -> bool {
        self.in_flight.contains_key(&seq) || self.later.contains_key(&seq)
    }

    /// Takes what is due again and then what is new, at most `limit` together.
    fn take(
        &mut self,
        db: &Connection,
        durable: Durable,
        reader: u64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Delivery>> {
        let mut deliveries = Vec::new();
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_INTERVAL) {
            self.look(db, durable.name)?;
        }
        let now = Instant::now();
        while deliveries.len() < limit
            && let Some(&(due, seq)) = self.due.first()
            && due <= now
        {
            let message = db
                .prepare_cached("SELECT message_id, subject, payload, traceparent FROM events WHERE seq = ?1")?
                .query_row([seq], |row| message(row, 0))?;
            self.due.pop_first();
            let attempts = self.later.remove(&seq).unwrap_or_default();
            deliveries.push(self.hand_out(seq, message, InFlight { reader, attempt: attempts + 1, set_down: true }));
        }
        let mut query = db.prepare_cached(
            "SELECT message_id, subject, payload, traceparent, seq FROM events
             WHERE subject = ?1 AND seq > ?2 ORDER BY seq",
        )?;
        let mut rows = query.query(params![durable.subject.as_str(), self.cursor])?;
        // Not limited by the query: what is known already must not hide what comes after it.
        while deliveries.len() < limit
            && let Some(row) = rows.next()?
        {
            let seq = row.get(4)?;
            self.cursor = seq;
            // What was put off before a crash is above the position, and in `unsettled` too.
            if !self.is_known(seq) {
                deliveries.push(self.hand_out(seq, message(row, 0)?, InFlight { reader, attempt: 1, set_down: false }));
            }
        }
        Ok(deliveries)
    }

    fn hand_out(&mut self, seq: i64, message: Message, delivery: InFlight) -> Delivery {
        let attempt = delivery.attempt;
        self.in_flight.insert(seq, delivery);
        Delivery { token: seq.unsigned_abs(), attempt, message }
    }
}

struct SqliteSubscription {
    file: SqliteFile,
    consumer: Arc<Consumer>,
    arrivals: watch::Receiver<()>,
    reader: u64,
}

#[async_trait]
impl Subscription for SqliteSubscription {
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let mut arrivals = self.arrivals.clone();
        loop {
            arrivals.mark_unchanged();
            let (deliveries, due) = {
                let mut progress = lock(&self.consumer.progress);
                let deliveries = self.file.read(|db| progress.take(db, self.consumer.durable, self.reader, limit))?;
                (deliveries, progress.due.first().map(|(due, _)| *due))
            };
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            let due_again = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The bus keeps the sending side as long as it lives; without it nothing arrives any more.
                changed = arrivals.changed() => changed.map_err(|_| BusError::unavailable("the bus was closed"))?,
                () = self.consumer.returned.notified() => {}
                () = due_again => {}
                () = sleep(LOOK_INTERVAL) => {}
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError> {
        let durable = self.consumer.durable.name;
        let (token, attempt) = (delivery.token, delivery.attempt);
        match verdict {
            Verdict::Ack => {
                let is_set_down = |delivery: &InFlight| delivery.set_down;
                let set_down = lock(&self.consumer.progress).in_flight.get(&seq(token)).is_some_and(is_set_down);
                if set_down {
                    // Should this fail, the delivery is still ours, and made again.
                    self.file.write(move |db| forget(db, durable, token)).await?;
                }
                lock(&self.consumer.progress).in_flight.remove(&seq(token));
            }
            Verdict::Retry(delay) => {
                let set_down = move |db: &Connection| {
                    db.prepare_cached("INSERT OR REPLACE INTO unsettled (durable, seq, attempts) VALUES (?1, ?2, ?3)")?
                        .execute(params![durable, token, attempt])
                };
                self.file.write(set_down).await?;
                let mut progress = lock(&self.consumer.progress);
                progress.in_flight.remove(&seq(token));
                progress.put_off(seq(token), attempt, Instant::now() + delay);
                drop(progress);
                // Another reader may wait for nothing, or for something later.
                self.consumer.returned.notify_one();
            }
            Verdict::Reject(reason) => {
                let put_aside = move |db: &Connection| {
                    db.execute(
                        "INSERT OR IGNORE INTO dead_letters (durable, seq, attempts, reason) VALUES (?1, ?2, ?3, ?4)",
                        params![durable, token, attempt, reason],
                    )?;
                    forget(db, durable, token)
                };
                self.file.write(put_aside).await?;
                lock(&self.consumer.progress).in_flight.remove(&seq(token));
            }
        }
        self.save_position();
        Ok(())
    }
}

impl SqliteSubscription {
    /// Queues a write of the position, unless one waits there already: it will write what holds when its turn comes.
    fn save_position(&self) {
        if self.consumer.save_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let consumer = self.consumer.clone();
        let save = move |db: &Connection| {
            consumer.save_queued.store(false, Ordering::Release);
            let position = lock(&consumer.progress).position();
            db.prepare_cached("UPDATE durables SET position = ?2 WHERE name = ?1")?
                .execute(params![consumer.durable.name, position])
                .map(|_| ())
        };
        if !self.file.write_later(save) {
            self.consumer.save_queued.store(false, Ordering::Release);
        }
    }
}

impl Drop for SqliteSubscription {
    fn drop(&mut self) {
        let mut progress = lock(&self.consumer.progress);
        let own = progress.in_flight.extract_if(.., |_, delivery| delivery.reader == self.reader);
        for (seq, delivery) in own.collect::<Vec<_>>() {
            if delivery.set_down {
                progress.put_off(seq, delivery.attempt, Instant::now());
            } else {
                // Read it from the log again, and what came after it.
                progress.cursor = progress.cursor.min(seq - 1);
            }
        }
        drop(progress);
        self.consumer.returned.notify_one();
    }
}

fn forget(db: &Connection, durable: &str, token: u64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM unsettled WHERE durable = ?1 AND seq = ?2")?
        .execute(params![durable, token])
        .map(|_| ())
}

/// A dead letter's id, `<seq>/<listener>`, in its parts.
fn parse_id(id: &str) -> Option<(i64, &str)> {
    let (seq, listener) = id.split_once('/')?;
    Some((seq.parse().ok()?, listener))
}

/// False when there is none.
fn remove_dead_letter(db: &Connection, seq: i64, durable: &str) -> rusqlite::Result<bool> {
    let removed = db.execute("DELETE FROM dead_letters WHERE seq = ?1 AND durable = ?2", params![seq, durable])?;
    Ok(removed > 0)
}

fn seq(token: u64) -> i64 {
    i64::try_from(token).unwrap_or(i64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<SqliteError> for BusError {
    fn from(error: SqliteError) -> Self {
        Self::unavailable(error)
    }
}
