//! Errors of the driver.

use common::store::StoreError;
use mongodb::error::{Error, ErrorKind, WriteFailure};

pub(super) const DUPLICATE_KEY: i32 = 11000;

/// The failure of a call: an error of the driver, or one of our own.
pub(super) struct Failure(StoreError);

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(store_error(&error))
    }
}

impl From<Failure> for StoreError {
    fn from(Failure(error): Failure) -> Self {
        error
    }
}

/// Converts an error of the driver. Keeps its [`reason`] rather than the error itself, which quotes documents.
pub(super) fn store_error(error: &Error) -> StoreError {
    if code(error) != Some(DUPLICATE_KEY) {
        return StoreError::unavailable(reason(error));
    }
    // MongoDB: E11000 duplicate key error collection: orders.orders index: orders_live_ticket dup key: { … }
    let text = reason(error);
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

/// What the driver says, without the documents that it would repeat.
pub(super) fn reason(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(error) => format!("{} ({})", error.message, error.code),
        ErrorKind::Write(WriteFailure::WriteError(error)) => format!("{} ({})", error.message, error.code),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => format!("{} ({})", error.message, error.code),
        other => other.to_string(),
    }
}
