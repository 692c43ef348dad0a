//! What the embedded engines share: one SQLite file with one writer thread and a few readers.
//!
//! SQLite allows one writer at a time, so writes queue up for a thread of their own, which commits whatever has
//! gathered as one group: one `fsync` for all of it. Nobody is answered before that `fsync` (`synchronous=FULL`).
//! Reads go by other connections and never wait for a write (`journal_mode=WAL`).

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use common::error::BoxError;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

/// The most writes that share one commit; a bound on how long the first of a group waits.
const MAX_GROUP: usize = 512;

/// Writes that may wait for the writer; who comes later waits for a place.
const QUEUE: usize = 1024;

/// Readers kept open for the next read. More are opened when more read at once, and closed afterwards.
const IDLE_READERS: usize = 3;

/// KiB of pages a connection keeps at hand. The operating system caches the file as well, so little is enough; what is
/// written again and again should fit.
const WRITER_CACHE: i64 = 4096;
const READER_CACHE: i64 = 1024;

/// Why SQLite could not do what was asked; names the file and the cause.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{file}")]
pub struct SqliteError {
    file: Arc<str>,
    source: Arc<dyn Error + Send + Sync>,
}

/// One SQLite file, open for writing by this process alone. Cheap to clone.
#[derive(Clone)]
pub struct SqliteFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    name: Arc<str>,
    queue: mpsc::Sender<Box<dyn Job>>,
    readers: Mutex<Vec<Connection>>,
}

impl SqliteFile {
    /// Opens the file, or creates it, and brings its tables up to date with `schema`: statements that may be run
    /// again (`CREATE TABLE IF NOT EXISTS …`).
    pub fn open(path: &Path, schema: &str) -> Result<Self, SqliteError> {
        let name: Arc<str> = path.display().to_string().into();
        let connect = || -> rusqlite::Result<Connection> {
            let writer = Connection::open(path)?;
            writer.pragma_update(None, "journal_mode", "WAL")?;
            writer.pragma_update(None, "synchronous", "FULL")?;
            // Pages of 4 KiB after which the log is copied into the file. Four times the default: a page that changes
            // often is copied less often.
            writer.pragma_update(None, "wal_autocheckpoint", 4000)?;
            // Bytes the log shrinks to again after a burst.
            writer.pragma_update(None, "journal_size_limit", 32 << 20)?;
            configure(&writer, WRITER_CACHE)?;
            writer.execute_batch(schema)?;
            Ok(writer)
        };
        let writer = connect().map_err(|error| SqliteError::new(&name, error))?;
        let (queue, jobs) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name(path.file_stem().map_or_else(|| "sqlite".into(), |stem| format!("{}-writer", stem.display())))
            .spawn(move || write_in_groups(&writer, jobs))
            .map_err(|error| SqliteError::new(&name, error))?;
        Ok(Self(Arc::new(Inner { path: path.to_owned(), name, queue, readers: Mutex::default() })))
    }

    /// Runs `change` in a transaction, together with other writes, and returns once it is durable.
    ///
    /// A write fails alone: when a group can not be committed, each of it is tried again by itself; so `change` may
    /// run twice, the first time without effect.
    pub async fn write<T, F>(&self, change: F) -> Result<T, SqliteError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let job = Write { change, result: None, reply, name: self.0.name.clone() };
        let gone = || SqliteError::new(&self.0.name, "the writer has stopped");
        self.0.queue.send(Box::new(job)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }

    /// Queues a write whose outcome nobody waits for: progress that may be made again. False when the queue is full.
    pub fn write_later<F>(&self, change: F) -> bool
    where
        F: FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    {
        let (reply, _) = oneshot::channel();
        self.0.queue.try_send(Box::new(Write { change, result: None, reply, name: self.0.name.clone() })).is_ok()
    }

    /// Runs `query` on what is committed.
    ///
    /// On the caller's thread: a look-up by index takes tens of microseconds, less than handing it to another.
    pub fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, SqliteError> {
        let reader = self.reader().map_err(|error| SqliteError::new(&self.0.name, error))?;
        let result = query(&reader).map_err(|error| SqliteError::new(&self.0.name, error));
        let mut idle = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_READERS {
            idle.push(reader);
        }
        result
    }

    fn reader(&self) -> rusqlite::Result<Connection> {
        let idle = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(
            || {
                let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
                let reader = Connection::open_with_flags(&self.0.path, flags)?;
                configure(&reader, READER_CACHE)?;
                Ok(reader)
            },
            Ok,
        )
    }
}

fn configure(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    // Somebody may look into the file with a tool of theirs; give them a moment.
    connection.busy_timeout(Duration::from_secs(2))?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative means KiB.
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

/// A queued write, its type forgotten.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn answer(self: Box<Self>, committed: Result<(), Arc<rusqlite::Error>>);
}

struct Write<T, F> {
    change: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, SqliteError>>,
    name: Arc<str>,
}

impl<T: Send, F: FnMut(&Connection) -> rusqlite::Result<T> + Send> Job for Write<T, F> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.result = Some((self.change)(connection)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), Arc<rusqlite::Error>>) {
        let outcome = match (committed, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(SqliteError::new(&self.name, "the write did not run")),
            (Err(source), _) => Err(SqliteError { file: self.name, source }),
        };
        // Who asked may have gone away; the write stands all the same.
        let _gone = self.reply.send(outcome);
    }
}

fn write_in_groups(connection: &Connection, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while jobs.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        match commit(connection, &mut group) {
            Ok(()) => group.drain(..).for_each(|job| job.answer(Ok(()))),
            Err(error) if group.len() == 1 => {
                let error = Arc::new(error);
                group.drain(..).for_each(|job| job.answer(Err(error.clone())));
            }
            Err(_) => {
                for mut job in group.drain(..) {
                    let committed = commit(connection, std::slice::from_mut(&mut job));
                    job.answer(committed.map_err(Arc::new));
                }
            }
        }
    }
}

fn commit(connection: &Connection, group: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    // Dropped before its commit, for whatever reason, a transaction rolls back.
    // Immediate: should another process write just now, this waits for it; later in the transaction it could only fail.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for job in group {
        job.run(&transaction)?;
    }
    transaction.commit()
}

impl SqliteError {
    fn new(file: &Arc<str>, cause: impl Into<BoxError>) -> Self {
        Self { file: file.clone(), source: cause.into().into() }
    }
}
