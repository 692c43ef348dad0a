//! Delayed jobs: work that is due at a certain time and survives crashes.
//!
//! [`DelayedJobs`] is the port. The caller always passes in the time.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::BoxError;

/// Work that is due at a certain time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Identifies the job.
    pub id: String,
    /// The earliest time to do it.
    pub due: Timestamp,
    /// Data for the worker.
    pub payload: String,
}

/// The right of one worker to rebuild lost jobs, until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuild {
    /// Identifies it; chosen by the engine.
    pub token: String,
    /// The position up to which earlier workers have read the history.
    pub position: Option<u64>,
}

/// The error of an operation on delayed jobs.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The jobs cannot be read or written at the moment.
    #[error("the delayed jobs are unavailable")]
    Unavailable(#[source] BoxError),
    /// The stored jobs belong to another system. Retrying does not help.
    #[error("the delayed jobs cannot be used")]
    Unusable(#[source] BoxError),
}

impl JobsError {
    /// [`JobsError::Unavailable`] with this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// [`JobsError::Unusable`] with this cause.
    pub fn unusable(cause: impl Into<BoxError>) -> Self {
        Self::Unusable(cause.into())
    }

    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_) => true,
            Self::Unusable(_) => false,
        }
    }
}

/// The port: jobs that wait until they are due, then are claimed by one worker at a time.
#[async_trait]
pub trait DelayedJobs: Send + Sync + 'static {
    /// Stores a job durably. Does nothing if a job with this id exists, claimed or not.
    async fn schedule(&self, job: &Job) -> Result<(), JobsError>;

    /// Deletes a job, claimed or not. Succeeds if there is none.
    async fn cancel(&self, id: &str) -> Result<(), JobsError>;

    /// Claims at most `limit` jobs that are due at `now`, earliest first.
    ///
    /// Until the lease ends, no other worker can claim them. After that, any worker can, unless they are
    /// [`done`](Self::done).
    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Job>, JobsError>;

    /// Deletes jobs that are done.
    async fn done(&self, ids: &[String]) -> Result<(), JobsError>;

    /// Returns when the next job can be claimed: when it is due or its lease ends. `None` if there are no jobs.
    async fn next_due(&self) -> Result<Option<Timestamp>, JobsError>;

    /// Counts the jobs that are due at `now` and not done, claimed or not.
    async fn count_due(&self, now: Timestamp) -> Result<u64, JobsError>;

    /// Whether no jobs have been lost since [`mark_complete`](Self::mark_complete). False if the engine is new or was
    /// emptied.
    async fn is_complete(&self) -> Result<bool, JobsError>;

    /// Begins to rebuild lost jobs, or continues a rebuild whose lease has ended at `now`. Returns `None` if another
    /// worker is rebuilding them, or has done so.
    async fn begin_rebuild(&self, now: Timestamp, lease: Duration) -> Result<Option<Rebuild>, JobsError>;

    /// Records how far the rebuild has got, and begins its lease again. Returns false if jobs were lost again, or
    /// another worker has continued the rebuild: the caller must stop.
    async fn record_progress(
        &self,
        rebuild: &Rebuild,
        position: u64,
        now: Timestamp,
        lease: Duration,
    ) -> Result<bool, JobsError>;

    /// Records that the rebuild is complete. Returns false in the same cases as
    /// [`record_progress`](Self::record_progress).
    async fn mark_complete(&self, rebuild: &Rebuild) -> Result<bool, JobsError>;

    /// Checks that the engine responds.
    async fn ping(&self) -> Result<(), JobsError>;
}
