//! Checkpoints: copying the write-ahead log into the file, on a thread of their own.
//!
//! The copying and the `fsync` of the file take long and do not hold up the writer. But while the writer goes on, SQLite
//! neither syncs the file nor begins the log again at its start: that needs an instant in which all of the log is copied
//! and nobody reads it. So the thread syncs the file itself, and when the log has grown large, and all but the end of it
//! is copied and synced, the writer copies the rest between two commits.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use common::error::{BoxError, chain};
use rusqlite::Connection;
use tracing::warn;

use super::file::{BUSY_TIMEOUT, configure};

/// How many pages (4 KiB) are logged between two checkpoints. Pages that change often are copied once for all of them.
const INTERVAL: i64 = 2000;

/// The size in pages at which the log begins again.
const MAX_LOG: i64 = 8000;

/// The most pages that the writer copies.
const MAX_REST: i64 = 200;

/// How often to copy what has been logged meanwhile, until so little is left.
const MAX_ROUNDS: usize = 5;

/// The most that the writer waits for readers of the log. If they take longer, the next checkpoint tries again.
const MAX_WAIT: Duration = Duration::from_millis(20);

/// As for readers.
const CACHE: i64 = 1024;

/// The writer's end of the thread, which ends when the writer is dropped.
pub(super) struct Checkpoints {
    restart_log: Arc<AtomicBool>,
    /// Must outlive all connections: closing any descriptor of a file releases all locks that this process holds on it.
    pub(super) file: Arc<File>,
}

impl Checkpoints {
    /// Starts the thread, and makes the writer wake it.
    pub(super) fn start(path: &Path, writer: &mut Connection) -> Result<Self, BoxError> {
        let file = Arc::new(OpenOptions::new().write(true).open(path)?);
        let connection = Connection::open(path)?;
        configure(&connection, CACHE)?;
        let (wake, wakes) = sync_channel(1);
        wake_at_intervals(writer, wake)?;
        let restart_log = Arc::new(AtomicBool::new(false));
        let copier = Copier { connection, restart_log: restart_log.clone(), file: file.clone() };
        std::thread::Builder::new()
            .name(path.file_stem().map_or_else(|| "sqlite".into(), |stem| format!("{}-copier", stem.display())))
            .spawn(move || copier.run(&wakes))?;
        Ok(Self { restart_log, file })
    }

    /// Called by the writer between two commits.
    pub(super) fn restart_log_if_large(&self, writer: &Connection) {
        if self.restart_log.swap(false, Ordering::Relaxed)
            && let Err(error) = restart_log(writer)
        {
            report(&error);
        }
    }
}

/// This also ends SQLite's own checkpoints, which the writer would run.
fn wake_at_intervals(writer: &mut Connection, wake: SyncSender<()>) -> rusqlite::Result<()> {
    let (mut before, mut next) = (0, INTERVAL);
    writer.wal_hook(Some(move |_log: &mut rusqlite::hooks::Wal, pages| {
        let pages = i64::from(pages);
        if pages < before {
            next = INTERVAL;
        }
        before = pages;
        if pages >= next {
            next = pages + INTERVAL;
            // If it is full, the thread is about to look.
            let _full = wake.try_send(());
        }
        Ok(())
    }))
}

/// Fields are dropped in this order: the file last.
struct Copier {
    connection: Connection,
    restart_log: Arc<AtomicBool>,
    file: Arc<File>,
}

impl Copier {
    fn run(self, wakes: &Receiver<()>) {
        while wakes.recv().is_ok() {
            match self.copy() {
                Ok(pages) => self.restart_log.store(pages >= MAX_LOG, Ordering::Relaxed),
                Err(error) => report(&*error),
            }
        }
    }

    /// Copies the log; if it is large, until little is left. Returns its size in pages.
    fn copy(&self) -> Result<i64, BoxError> {
        let mut pages = 0;
        for _ in 0..MAX_ROUNDS {
            let before = pages;
            pages = checkpoint(&self.connection, "PASSIVE")?;
            self.file.sync_data()?;
            if pages < MAX_LOG || pages - before < MAX_REST {
                break;
            }
        }
        Ok(pages)
    }
}

fn restart_log(writer: &Connection) -> rusqlite::Result<()> {
    writer.busy_timeout(MAX_WAIT)?;
    let restarted = checkpoint(writer, "RESTART");
    writer.busy_timeout(BUSY_TIMEOUT)?;
    restarted.map(|_| ())
}

/// Returns the size of the log in pages.
fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA wal_checkpoint({mode})"), [], |row| row.get(1))
}

/// The log keeps what could not be copied.
fn report(error: &(dyn Error + 'static)) {
    warn!(error = chain(error), "could not copy a write-ahead log into its file, will retry");
}
