//! How far durables are behind, and the deletion of old events that all have passed.

use std::collections::BTreeSet;
use std::path::Path;

use common::bus::{BusError, Durable};
use common::clock::Timestamp;
use common::events::Subject;
use rusqlite::{Connection, params};
use tracing::{info, warn};

use crate::sqlite::file::SqliteFile;

/// The most events of one write. Other writes wait for it.
const BATCH: usize = 500;

/// Deletes the first events of a subject, as long as they are old and no durable needs them: those below every position
/// and every event to redeliver.
const DELETE: &str = "
    WITH first AS (SELECT seq, stored_at FROM events WHERE subject = ?1 ORDER BY seq LIMIT ?4)
    DELETE FROM events WHERE seq IN (SELECT seq FROM first WHERE stored_at < ?2)
        AND seq <= ifnull((SELECT min(position) FROM durables WHERE substr(name, -length(?3)) = ?3), seq)
        AND seq < ifnull((SELECT min(seq) FROM unsettled WHERE substr(durable, -length(?3)) = ?3), seq + 1)";

/// Durables that have not passed their oldest event of a subject, although it is old.
const BEHIND: &str = "
    SELECT name FROM durables WHERE substr(name, -length(?3)) = ?3 AND EXISTS (
        SELECT 1 FROM (SELECT seq, stored_at FROM events WHERE subject = ?1 ORDER BY seq LIMIT 1)
        WHERE stored_at < ?2 AND (seq > position OR seq IN (SELECT seq FROM unsettled WHERE durable = name)))";

/// When the oldest event was stored that a durable has not handled: the first after its position, or one that was
/// delivered and is to be redelivered.
const OLDEST: &str = "
    SELECT min(stored_at) FROM (
        SELECT * FROM (
            SELECT stored_at FROM events
            WHERE subject = ?1 AND seq > (SELECT position FROM durables WHERE name = ?2) ORDER BY seq LIMIT 1
        ) UNION ALL
        SELECT stored_at FROM unsettled JOIN events USING (seq) WHERE durable = ?2 AND attempts > 0)";

/// When the oldest event was stored that a durable has not handled.
pub(super) fn oldest_unhandled(db: &Connection, durable: Durable) -> rusqlite::Result<Option<Timestamp>> {
    let values = [durable.subject.as_str(), durable.name];
    let stored_at: Option<i64> = db.prepare_cached(OLDEST)?.query_row(values, |row| row.get(0))?;
    Ok(stored_at.map(Timestamp::from_millis))
}

/// Deletes the events stored before `before` that each durable has passed, in batches.
pub(super) async fn delete_old_events(file: &SqliteFile, before: Timestamp) -> Result<(), BusError> {
    for subject in Subject::ALL {
        let mut deleted = 0;
        loop {
            let delete = move |db: &Connection| {
                let values = params![subject.as_str(), before.as_millis(), Durable::suffix(subject), BATCH];
                db.prepare_cached(DELETE)?.execute(values)
            };
            let batch = file.write(delete).await?;
            deleted += batch;
            if batch < BATCH {
                break;
            }
        }
        if deleted > 0 {
            info!(%subject, events = deleted, "deleted old events");
        }
    }
    Ok(())
}

/// Warns of durables that hold old events back and that the program does not read.
pub(super) fn report_unread(
    file: &SqliteFile,
    path: &Path,
    before: Timestamp,
    durables: &[Durable],
) -> Result<(), BusError> {
    let read: BTreeSet<&str> = durables.iter().map(|durable| durable.name).collect();
    for subject in Subject::ALL {
        let behind: Vec<String> = file.read(|db| {
            let values = params![subject.as_str(), before.as_millis(), Durable::suffix(subject)];
            db.prepare_cached(BEHIND)?.query_map(values, |row| row.get(0))?.collect()
        })?;
        for durable in behind.iter().filter(|name| !read.contains(&***name)) {
            let statements = ["durables WHERE name", "unsettled WHERE durable"]
                .map(|rows| format!("DELETE FROM {rows} = '{durable}'"));
            let command = format!("sqlite3 {} \"{}\"", path.display(), statements.join("; "));
            warn!(
                durable,
                command, "keeping old events for a listener that does not run; if it is gone, delete its rows"
            );
        }
    }
    Ok(())
}
