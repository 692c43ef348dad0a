//! Errors of the driver.

use common::store::StoreError;
use mongodb::error::{Error, ErrorKind, WriteFailure};

pub(super) const DUPLICATE_KEY: i32 = 11000;

/// The error of a call: one of the driver, or one of our own.
pub(super) struct CallError(StoreError);

impl From<StoreError> for CallError {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Error> for CallError {
    fn from(error: Error) -> Self {
        Self(store_error(&error))
    }
}

impl From<CallError> for StoreError {
    fn from(CallError(error): CallError) -> Self {
        error
    }
}

/// Converts an error of the driver.
///
/// The source is the [`message`] and not the error itself, whose `Display` includes the server's response: that quotes
/// documents, which must not reach the log.
pub(super) fn store_error(error: &Error) -> StoreError {
    if code(error) != Some(DUPLICATE_KEY) {
        return StoreError::unavailable(message(error));
    }
    // MongoDB: E11000 duplicate key error collection: orders.orders index: orders_live_ticket dup key: { … }
    let text = message(error);
    match text.split_once(" index: ").and_then(|(_, rest)| rest.split_whitespace().next()) {
        None | Some("_id_") => StoreError::Conflict,
        Some(index) => StoreError::Duplicate(index.to_owned()),
    }
}

pub(super) fn code(error: &Error) -> Option<i32> {
    match &*error.kind {
        ErrorKind::Command(error) => Some(error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some(error.code),
        _ => None,
    }
}

/// The message and code of an error, without the server's response.
pub(super) fn message(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(error) => format!("{} ({})", error.message, error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => format!("{} ({})", error.message, error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => format!("{} ({})", error.message, error.code),
        other => other.to_string(),
    }
}
