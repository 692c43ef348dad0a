//! Delayed jobs on SQLite: one table, indexed by when a job can be claimed.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::jobs::{DelayedJobs, Job, JobsError, Rebuild};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::file::SqliteFile;

/// `claimable_at` is a job's deadline, or the end of its lease once it is claimed.
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS jobs (
        id TEXT PRIMARY KEY, due INTEGER NOT NULL, claimable_at INTEGER NOT NULL, payload TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (claimable_at);
    CREATE TABLE IF NOT EXISTS complete (yes INTEGER PRIMARY KEY) STRICT;
    CREATE TABLE IF NOT EXISTS rebuild (
        one INTEGER PRIMARY KEY CHECK (one = 1), token TEXT NOT NULL, leased_until INTEGER NOT NULL, position INTEGER
    ) STRICT;
    CREATE INDEX IF NOT EXISTS jobs_by_deadline ON jobs (due);";

/// Delayed jobs in one SQLite file.
pub struct SqliteJobs {
    file: SqliteFile,
}

impl SqliteJobs {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> Result<Self, JobsError> {
        Ok(Self { file: SqliteFile::open(path, SCHEMA)? })
    }

    /// Opens an existing file without changing it: every write fails. For tools.
    pub fn open_read_only(path: &Path) -> Result<Self, JobsError> {
        Ok(Self { file: SqliteFile::open_read_only(path)? })
    }
}

#[async_trait]
impl DelayedJobs for SqliteJobs {
    async fn schedule(&self, job: &Job) -> Result<(), JobsError> {
        let Job { id, due, payload } = job.clone();
        let insert = move |db: &Connection| {
            db.prepare_cached("INSERT OR IGNORE INTO jobs (id, due, claimable_at, payload) VALUES (?1, ?2, ?2, ?3)")?
                .execute(params![id, due.as_millis(), payload])
                .map(|_| ())
        };
        Ok(self.file.write(insert).await?)
    }

    async fn cancel(&self, id: &str) -> Result<(), JobsError> {
        self.done(&[id.to_owned()]).await
    }

    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Job>, JobsError> {
        let claim = move |db: &Connection| {
            let mut claimed: Vec<Job> = db
                .prepare_cached(
                    "UPDATE jobs SET claimable_at = ?3 WHERE id IN
                         (SELECT id FROM jobs WHERE claimable_at <= ?1 ORDER BY claimable_at LIMIT ?2)
                     RETURNING id, due, payload",
                )?
                .query_map(params![now.as_millis(), limit, now.plus(lease).as_millis()], |row| {
                    Ok(Job { id: row.get(0)?, due: Timestamp::from_millis(row.get(1)?), payload: row.get(2)? })
                })?
                .collect::<rusqlite::Result<_>>()?;
            claimed.sort_by_key(|job| job.due);
            Ok(claimed)
        };
        Ok(self.file.write(claim).await?)
    }

    async fn done(&self, ids: &[String]) -> Result<(), JobsError> {
        let ids = ids.to_vec();
        let delete = move |db: &Connection| {
            let mut delete = db.prepare_cached("DELETE FROM jobs WHERE id = ?1")?;
            ids.iter().try_for_each(|id| delete.execute([id]).map(|_| ()))
        };
        Ok(self.file.write(delete).await?)
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, JobsError> {
        let sql = "SELECT MIN(claimable_at) FROM jobs";
        let earliest: Option<i64> = self.file.read(|db| db.prepare_cached(sql)?.query_row([], |row| row.get(0)))?;
        Ok(earliest.map(Timestamp::from_millis))
    }

    async fn count_due(&self, now: Timestamp) -> Result<u64, JobsError> {
        let sql = "SELECT COUNT(*) FROM jobs WHERE due <= ?1";
        Ok(self.file.read(|db| db.prepare_cached(sql)?.query_row([now.as_millis()], |row| row.get(0)))?)
    }

    async fn is_complete(&self) -> Result<bool, JobsError> {
        Ok(self.file.read(is_complete)?)
    }

    async fn begin_rebuild(&self, now: Timestamp, lease: Duration) -> Result<Option<Rebuild>, JobsError> {
        let token = format!("{:016x}", rand::random::<u64>());
        let begin = move |db: &Connection| {
            let sql = "INSERT INTO rebuild (one, token, leased_until)
                           SELECT 1, ?1, ?2 WHERE NOT EXISTS (SELECT 1 FROM complete)
                       ON CONFLICT DO UPDATE SET token = ?1, leased_until = ?2 WHERE leased_until <= ?3
                       RETURNING token, position";
            let rebuild = |row: &Row<'_>| Ok(Rebuild { token: row.get(0)?, position: row.get(1)? });
            db.query_row(sql, params![token, now.plus(lease).as_millis(), now.as_millis()], rebuild).optional()
        };
        Ok(self.file.write(begin).await?)
    }

    async fn record_progress(
        &self,
        rebuild: &Rebuild,
        position: u64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<bool, JobsError> {
        let (token, until) = (rebuild.token.clone(), now.plus(lease).as_millis());
        let record = move |db: &Connection| {
            let sql = "UPDATE rebuild SET position = ?2, leased_until = ?3 WHERE token = ?1";
            Ok(db.prepare_cached(sql)?.execute(params![token, position, until])? > 0)
        };
        Ok(self.file.write(record).await?)
    }

    async fn mark_complete(&self, rebuild: &Rebuild) -> Result<bool, JobsError> {
        let token = rebuild.token.clone();
        let mark = move |db: &Connection| {
            let sql = "INSERT OR IGNORE INTO complete SELECT 1 WHERE EXISTS (SELECT 1 FROM rebuild WHERE token = ?1)";
            db.execute(sql, [&token])?;
            is_complete(db)
        };
        Ok(self.file.write(mark).await?)
    }

    async fn ping(&self) -> Result<(), JobsError> {
        Ok(self.file.read(|db| db.query_row("SELECT 1", [], |_| Ok(())))?)
    }
}

fn is_complete(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT EXISTS (SELECT 1 FROM complete)")?.query_row([], |row| row.get(0))
}
