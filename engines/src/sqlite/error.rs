//! Errors of a SQLite file, and what they are to the ports.

use std::sync::Arc;

use common::bus::BusError;
use common::error::BoxError;
use common::jobs::JobsError;
use common::store::StoreError;

/// The error of an operation on a SQLite file. Names the file.
#[derive(Debug, thiserror::Error)]
#[error("{file}")]
pub struct SqliteError {
    file: Arc<str>,
    source: BoxError,
}

impl SqliteError {
    pub(super) fn new(file: &Arc<str>, cause: impl Into<BoxError>) -> Self {
        Self { file: file.clone(), source: cause.into() }
    }
}

impl From<SqliteError> for BusError {
    fn from(error: SqliteError) -> Self {
        Self::unavailable(error)
    }
}

impl From<SqliteError> for JobsError {
    fn from(error: SqliteError) -> Self {
        Self::unavailable(error)
    }
}

impl From<SqliteError> for StoreError {
    fn from(error: SqliteError) -> Self {
        Self::unavailable(error)
    }
}
