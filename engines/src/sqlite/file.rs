//! One SQLite file with one writer thread and a few readers. Every embedded engine uses one.
//!
//! SQLite allows one writer at a time, so writes queue for a dedicated thread, which commits whatever has queued up as
//! one group: one `fsync` for all of them. No write returns before that `fsync` (`synchronous=FULL`). Reads use other
//! connections and never wait for a write (`journal_mode=WAL`). A second thread copies the write-ahead log into the file
//! meanwhile (`checkpoints.rs`).

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, ffi};
use tokio::sync::{mpsc, oneshot};

use super::checkpoints::Checkpoints;
use super::error::SqliteError;

/// The most writes that share one commit. Bounds how long the first of a group waits.
const MAX_GROUP: usize = 512;

/// The most writes that wait for the writer thread. Further callers wait until there is room.
const QUEUE: usize = 1024;

/// Idle readers to keep open. Additional ones are opened for concurrent reads and closed afterwards.
const IDLE_READERS: usize = 3;

/// Page caches in KiB. Small, because the operating system caches the file as well; the writer's should hold the pages
/// that are written over and over.
const WRITER_CACHE: i64 = 4096;
const READER_CACHE: i64 = 1024;

/// How long to wait for a lock, which the sqlite3 shell or another tool may hold for a moment.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The size in bytes to which the write-ahead log shrinks after a burst.
const MAX_IDLE_LOG: i64 = 32 << 20;

/// One SQLite file that only this process writes to. Cheap to clone.
#[derive(Clone)]
pub struct SqliteFile(Arc<Inner>);

struct Inner {
    path: PathBuf,
    name: Arc<str>,
    queue: mpsc::Sender<Box<dyn QueuedWrite>>,
    readers: Mutex<Vec<Connection>>,
    /// Dropped after the readers.
    _file: Option<Arc<File>>,
}

impl SqliteFile {
    /// Opens or creates the file and runs `schema`, which must be repeatable (`CREATE TABLE IF NOT EXISTS …`).
    pub fn open(path: &Path, schema: &str) -> Result<Self, SqliteError> {
        let name: Arc<str> = path.display().to_string().into();
        let mut writer = open_writer(path, schema).map_err(|error| SqliteError::new(&name, error))?;
        let checkpoints = Checkpoints::start(path, &mut writer).map_err(|error| SqliteError::new(&name, error))?;
        Self::start(path, name, writer, Some(checkpoints))
    }

    /// Opens an existing file without changing it: every write fails.
    pub fn open_read_only(path: &Path) -> Result<Self, SqliteError> {
        let name: Arc<str> = path.display().to_string().into();
        let reader = open_reader(path).map_err(|error| SqliteError::new(&name, error))?;
        Self::start(path, name, reader, None)
    }

    fn start(
        path: &Path,
        name: Arc<str>,
        writer: Connection,
        checkpoints: Option<Checkpoints>,
    ) -> Result<Self, SqliteError> {
        let file = checkpoints.as_ref().map(|checkpoints| checkpoints.file.clone());
        let (queue, writes) = mpsc::channel(QUEUE);
        std::thread::Builder::new()
            .name(path.file_stem().map_or_else(|| "sqlite".into(), |stem| format!("{}-writer", stem.display())))
            .spawn(move || write_in_groups(writer, writes, checkpoints))
            .map_err(|error| SqliteError::new(&name, error))?;
        Ok(Self(Arc::new(Inner { path: path.to_owned(), name, queue, readers: Mutex::default(), _file: file })))
    }

    /// Runs `change` in a transaction that other writes share, and returns once it is durable.
    ///
    /// A failing write does not affect the others: if a group cannot be committed, each of its writes is repeated in a
    /// transaction of its own. So `change` may run twice; the first run then had no effect. A panic of `change` is an
    /// error of this write.
    pub async fn write<T, F>(&self, change: F) -> Result<T, SqliteError>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reply, outcome) = oneshot::channel();
        let write = Write { change, result: None, reply, name: self.0.name.clone() };
        let stopped = || SqliteError::new(&self.0.name, "the writer thread has stopped");
        self.0.queue.send(Box::new(write)).await.map_err(|_| stopped())?;
        outcome.await.map_err(|_| stopped())?
    }

    /// Queues a write without waiting for its outcome, for progress that may be lost. Returns false if the queue is
    /// full.
    pub fn write_later<F>(&self, change: F) -> bool
    where
        F: FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    {
        let (reply, _) = oneshot::channel();
        self.0.queue.try_send(Box::new(Write { change, result: None, reply, name: self.0.name.clone() })).is_ok()
    }

    /// Runs `query` on the committed state.
    ///
    /// Runs on the caller's thread: an indexed lookup takes tens of microseconds, less than handing it to another
    /// thread.
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
        idle.map_or_else(|| open_reader(&self.0.path), Ok)
    }
}

fn open_writer(path: &Path, schema: &str) -> rusqlite::Result<Connection> {
    let writer = Connection::open(path)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    writer.pragma_update(None, "synchronous", "FULL")?;
    writer.pragma_update(None, "journal_size_limit", MAX_IDLE_LOG)?;
    configure(&writer, WRITER_CACHE)?;
    writer.execute_batch(schema)?;
    Ok(writer)
}

fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    configure(&reader, READER_CACHE)?;
    Ok(reader)
}

pub(super) fn configure(connection: &Connection, cache: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Negative means KiB.
    connection.pragma_update(None, "cache_size", -cache)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Otherwise SQLite compiles a query again whenever a parameter changes that is compared with an indexed column.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// A queued write, with its type erased.
trait QueuedWrite: Send {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()>;
    fn reply(self: Box<Self>, committed: rusqlite::Result<()>);
}

struct Write<T, F> {
    change: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, SqliteError>>,
    name: Arc<str>,
}

impl<T: Send, F: FnMut(&Connection) -> rusqlite::Result<T> + Send> QueuedWrite for Write<T, F> {
    fn run(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        // The writer thread serves everybody: a bug in one change must not end it.
        let changed = catch_unwind(AssertUnwindSafe(|| (self.change)(connection)));
        self.result = Some(changed.unwrap_or_else(|_| Err(panicked()))?);
        Ok(())
    }

    fn reply(self: Box<Self>, committed: rusqlite::Result<()>) {
        let outcome = match (committed, self.result) {
            (Ok(()), Some(result)) => Ok(result),
            (Ok(()), None) => Err(SqliteError::new(&self.name, "the write did not run")),
            (Err(error), _) => Err(SqliteError::new(&self.name, error)),
        };
        // The caller may have given up waiting; the write is committed all the same.
        let _gone = self.reply.send(outcome);
    }
}

fn panicked() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_ABORT), Some("the write panicked".into()))
}

fn write_in_groups(
    connection: Connection,
    mut writes: mpsc::Receiver<Box<dyn QueuedWrite>>,
    checkpoints: Option<Checkpoints>,
) {
    let mut group = Vec::with_capacity(MAX_GROUP);
    while writes.blocking_recv_many(&mut group, MAX_GROUP) > 0 {
        match commit(&connection, &mut group) {
            Ok(()) => group.drain(..).for_each(|write| write.reply(Ok(()))),
            Err(_) if group.len() > 1 => group.drain(..).for_each(|write| commit_one(&connection, write)),
            Err(error) => {
                if let Some(write) = group.pop() {
                    write.reply(Err(error));
                }
            }
        }
        if let Some(checkpoints) = &checkpoints {
            checkpoints.restart_log_if_large(&connection);
        }
    }
    // Before the file that `checkpoints` holds.
    drop(connection);
}

fn commit_one(connection: &Connection, mut write: Box<dyn QueuedWrite>) {
    let committed = commit(connection, std::slice::from_mut(&mut write));
    write.reply(committed);
}

fn commit(connection: &Connection, group: &mut [Box<dyn QueuedWrite>]) -> rusqlite::Result<()> {
    // Immediate takes the write lock at the start, waiting for other processes; a transaction that upgrades later fails
    // instead of waiting. Dropping the transaction before the commit rolls it back.
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    for write in group {
        write.run(&transaction)?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_write_that_panics_fails_alone() {
        let directory = tempfile::TempDir::new().unwrap();
        let schema = "CREATE TABLE IF NOT EXISTS numbers (number INTEGER)";
        let file = SqliteFile::open(&directory.path().join("numbers.db"), schema).unwrap();
        let insert =
            |number: i64| file.write(move |writer| writer.execute("INSERT INTO numbers VALUES (?1)", [number]));
        let broken = file.write(|_writer| -> rusqlite::Result<()> { panic!("a bug") });
        // Queued together, so that they share a commit.
        let (first, broken, second) = tokio::join!(insert(1), broken, insert(2));
        assert!(first.is_ok() && broken.is_err() && second.is_ok());
        insert(3).await.unwrap();
        let sum =
            |reader: &Connection| reader.query_row("SELECT sum(number) FROM numbers", [], |row| row.get::<_, i64>(0));
        assert_eq!(file.read(sum).unwrap(), 6);
    }
}
