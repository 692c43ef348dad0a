//! The errors of the worker.

use common::bus::BusError;
use common::jobs::JobsError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkError {
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error(transparent)]
    Bus(#[from] BusError),
    #[error("could not serialise an event")]
    Serialise(#[from] serde_json::Error),
}
