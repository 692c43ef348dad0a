//! Delayed jobs: work that is due at a time, remembered across crashes.
//!
//! [`DelayedJobs`] is the port. Time is always passed in by the caller.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::BoxError;

/// Work that is due at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Identifies the job: scheduling the same id again changes nothing.
    pub id: String,
    /// The earliest time at which it may be done.
    pub due: Timestamp,
    /// What the worker needs to know.
    pub payload: String,
}

/// The error of an operation on delayed jobs.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// The jobs cannot be read or written at the moment.
    #[error("the delayed jobs are unavailable")]
    Unavailable(#[source] BoxError),
    /// The stored data is not ours to use. Retrying does not help.
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

/// The port: jobs that wait until they are due and are then claimed by one worker at a time.
#[async_trait]
pub trait DelayedJobs: Send + Sync + 'static {
    /// Stores a job durably. If a job with this id exists, claimed or not, it stays as it is.
    async fn schedule(&self, job: &Job) -> Result<(), JobsError>;

    /// Removes a job, claimed or not. Succeeds if there is none.
    async fn cancel(&self, id: &str) -> Result<(), JobsError>;

    /// Claims at most `limit` jobs that are due at `now`, earliest first.
    ///
    /// No other worker gets them until the lease ends. After that they can be claimed again, unless they are
    /// [`done`](Self::done).
    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Job>, JobsError>;

    /// Removes jobs that have been done.
    async fn done(&self, ids: &[String]) -> Result<(), JobsError>;

    /// When the next job can be claimed: the earliest deadline or end of a lease. `None` if there are no jobs.
    async fn next_due(&self) -> Result<Option<Timestamp>, JobsError>;

    /// Counts the jobs that are due at `now` and not done.
    async fn count_due(&self, now: Timestamp) -> Result<u64, JobsError>;

    /// Whether nothing has been lost since [`mark_complete`](Self::mark_complete). False for an engine that is new or
    /// was emptied.
    async fn is_complete(&self) -> Result<bool, JobsError>;

    /// Begins to rebuild lost jobs, or joins a rebuild that another worker has begun. Returns the token to pass to
    /// [`mark_complete`](Self::mark_complete).
    async fn begin_rebuild(&self) -> Result<String, JobsError>;

    /// Records that all jobs are present or about to be scheduled. Returns false if jobs were lost again since the
    /// rebuild began; the caller must then begin another.
    async fn mark_complete(&self, rebuild: &str) -> Result<bool, JobsError>;

    /// Checks that the engine responds.
    async fn ping(&self) -> Result<(), JobsError>;
}
