//! Errors of the bus.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind};
use common::bus::BusError;
use common::error::BoxError;

/// Why a stream cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("could not read the stream {stream}")]
    Read { stream: String, source: GetStreamError },
    #[error("the stream {stream} is missing; start a service, which creates it, or correct the stream's name")]
    Missing { stream: String, source: GetStreamError },
    #[error("could not create the stream {stream}")]
    Create { stream: String, source: CreateStreamError },
    #[error("could not update the stream {stream}")]
    Update { stream: String, source: CreateStreamError },
    #[error(
        "the stream {stream} needs subjects that another stream of this NATS account holds; use that stream's name, or \
         give each system its own NATS account or server"
    )]
    SubjectsTaken { stream: String, source: CreateStreamError },
    #[error("the stream {stream} cannot be used: {reason}; use another name, or delete it")]
    Foreign { stream: String, reason: String },
}

impl StreamError {
    pub(super) fn read(stream: &str, source: GetStreamError) -> Self {
        let stream = stream.to_owned();
        if is_missing(&source) { Self::Missing { stream, source } } else { Self::Read { stream, source } }
    }

    pub(super) fn create(stream: &str, source: CreateStreamError) -> Self {
        let stream = stream.to_owned();
        if is_overlap(&source) { Self::SubjectsTaken { stream, source } } else { Self::Create { stream, source } }
    }

    pub(super) fn update(stream: &str, source: CreateStreamError) -> Self {
        let stream = stream.to_owned();
        if is_overlap(&source) { Self::SubjectsTaken { stream, source } } else { Self::Update { stream, source } }
    }
}

impl From<StreamError> for BusError {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Read { .. }
            | StreamError::Missing { .. }
            | StreamError::Create { .. }
            | StreamError::Update { .. } => Self::unavailable(error),
            StreamError::SubjectsTaken { .. } | StreamError::Foreign { .. } => Self::unusable(error),
        }
    }
}

/// Whether the stream does not exist.
pub(super) fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn is_overlap(error: &CreateStreamError) -> bool {
    let overlap = ErrorCode::STREAM_SUBJECT_OVERLAP;
    matches!(error.kind(), CreateStreamErrorKind::JetStream(error) if error.error_code() == overlap)
}

/// The error of a request that was not answered in time.
pub(super) fn no_response() -> BusError {
    BusError::unavailable("NATS does not respond")
}

/// The error of a lost connection that the client has given up.
pub(super) fn closed() -> BusError {
    BusError::unavailable("the connection to NATS was closed")
}

pub(super) fn unavailable(error: impl Into<BoxError>) -> BusError {
    BusError::unavailable(error)
}
