//! Columns that several tables share.

use common::events::{Message, Subject};
use common::trace::TraceParent;
use rusqlite::types::Type;
use rusqlite::{Error, Result, Row};

/// Reads a message from four columns starting at `first`: id, subject, payload, traceparent.
pub(super) fn message(row: &Row<'_>, first: usize) -> Result<Message> {
    Ok(Message {
        id: row.get(first)?,
        subject: subject(row, first + 1)?,
        payload: row.get(first + 2)?,
        traceparent: row.get::<_, Option<String>>(first + 3)?.as_deref().and_then(TraceParent::parse),
    })
}

fn subject(row: &Row<'_>, index: usize) -> Result<Subject> {
    let invalid = |error| Error::FromSqlConversionFailure(index, Type::Text, Box::new(error));
    row.get_ref(index)?.as_str()?.parse().map_err(invalid)
}
