//! Delayed jobs: what is to be done at a time, remembered across crashes.
//!
//! [`DelayedJobs`] is the port, [`sqlite`] its embedded engine, `redis` the one that replicas share. Time is always the
//! caller's.

#[cfg(feature = "testing")]
pub mod contract;
#[cfg(feature = "spread")]
pub mod redis;
pub mod sqlite;

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;

/// Something to do at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Names it: scheduling the same id again changes nothing.
    pub id: String,
    /// When it is to be done, and not before.
    pub due: Timestamp,
    /// What the worker needs to know.
    pub payload: String,
}

/// Why nothing could be done with the jobs.
#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    /// They can not be reached or written, now.
    #[error("the delayed jobs are unavailable: {0}")]
    Unavailable(String),
    /// What is there is not ours to use; waiting does not heal that.
    #[error("the delayed jobs can not be used: {0}")]
    Unusable(String),
}

impl JobsError {
    /// Whether it may heal by itself.
    #[cfg(feature = "spread")]
    pub(crate) fn heals(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// The port: jobs that wait for their time, each then claimed by one worker at a time.
#[async_trait]
pub trait DelayedJobs: Send + Sync + 'static {
    /// Remembers a job, durably. One whose id is there already, claimed or not, stays as it is.
    async fn schedule(&self, job: &Job) -> Result<(), JobsError>;

    /// Forgets a job, claimed or not. One that is not there is no error.
    async fn cancel(&self, id: &str) -> Result<(), JobsError>;

    /// Claims at most `limit` jobs that are due at `now`, the earliest first. Nobody else gets them before the lease ends;
    /// then, unless [`done`](Self::done), they can be claimed again.
    async fn claim(&self, now: Timestamp, limit: usize, lease: Duration) -> Result<Vec<Job>, JobsError>;

    /// Forgets jobs that have been done.
    async fn done(&self, ids: &[String]) -> Result<(), JobsError>;

    /// When the next job can be claimed: the earliest deadline, or end of a lease. `None` without jobs.
    async fn next_due(&self) -> Result<Option<Timestamp>, JobsError>;

    /// How many jobs are due at `now` and not done.
    async fn count_due(&self, now: Timestamp) -> Result<u64, JobsError>;

    /// Whether nothing has been lost since [`mark_complete`](Self::mark_complete): an engine that was emptied, or is new,
    /// has forgotten that as well.
    async fn is_complete(&self) -> Result<bool, JobsError>;

    /// Begins to make lost jobs anew, or joins whoever does; returns what to give to
    /// [`mark_complete`](Self::mark_complete).
    async fn begin_rebuild(&self) -> Result<String, JobsError>;

    /// Says that every job that should be there is, or is bound to be scheduled. False if something has been lost since
    /// the rebuild began: then it has to begin again.
    async fn mark_complete(&self, rebuild: &str) -> Result<bool, JobsError>;

    /// Whether the engine answers.
    async fn ping(&self) -> Result<(), JobsError>;
}
