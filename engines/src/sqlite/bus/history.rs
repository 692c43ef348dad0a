//! Reading the log without a durable.

use common::bus::{HistoryStart, Page};
use common::clock::Timestamp;
use common::events::Subject;
use common::ids::{OrderId, RecordId};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::sqlite::columns::message;

/// How much of the log to read at once, whatever the subjects. Bounds how long the caller's thread is busy.
const PAGE: i64 = 4096;

/// Reads one page of these subjects. Returns it with the position where it ends, or `None` at the end of the log.
pub(super) fn read(
    db: &Connection,
    subjects: &[Subject],
    start: HistoryStart,
) -> rusqlite::Result<Option<(Page, u64)>> {
    let last: i64 = db.prepare_cached("SELECT COALESCE(MAX(seq), 0) FROM events")?.query_row([], |row| row.get(0))?;
    let after = match start {
        HistoryStart::After(position) => i64::try_from(position).unwrap_or(i64::MAX),
        HistoryStart::Since(time) => position_before(db, subjects, time)?.unwrap_or(last),
    };
    if after >= last {
        return Ok(None);
    }
    let end = last.min(after + PAGE);
    // In the order of the log. An index would need to sort all that follows, for each page.
    let sql = "SELECT message_id, subject, payload, traceparent, seq FROM events NOT INDEXED
               WHERE seq > ?1 AND seq <= ?2 ORDER BY seq";
    let mut page = Page::new();
    let mut events = db.prepare_cached(sql)?;
    let mut rows = events.query(params![after, end])?;
    while let Some(row) = rows.next()? {
        if is_any_of(subjects, row)? {
            page.push((row.get(4)?, message(row, 0)?));
        }
    }
    Ok(Some((page, end.unsigned_abs())))
}

fn is_any_of(subjects: &[Subject], row: &Row<'_>) -> rusqlite::Result<bool> {
    let subject = row.get_ref(1)?.as_str()?;
    Ok(subjects.iter().any(|wanted| wanted.as_str() == subject))
}

/// The position before the events of all records created at `time` or later. `None` if there are no such events.
///
/// The id of a message contains the id of its record, which starts with the time. So the first of them is found in the
/// index of the ids. It is not always the first in the log, because ids of the same second have no order.
fn position_before(db: &Connection, subjects: &[Subject], time: Timestamp) -> rusqlite::Result<Option<i64>> {
    let mut find = db.prepare_cached(
        "SELECT seq FROM events WHERE message_id >= ?1 AND message_id < ?2 ORDER BY message_id LIMIT 1",
    )?;
    let mut first = None;
    for subject in subjects {
        // The layout of all ids is the same, and '0' follows '/'.
        let (from, until) = (format!("{subject}/{}", OrderId::earliest(time)), format!("{subject}0"));
        let seq: Option<i64> = find.query_row([from, until], |row| row.get(0)).optional()?;
        first = seq.into_iter().chain(first).min();
    }
    Ok(first.map(|seq| seq - 1))
}
