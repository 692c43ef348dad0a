//! Which events a durable has read, which are in flight, and which are to be redelivered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use common::bus::{Delivery, Durable};
use common::events::Message;
use rusqlite::{Connection, params};
use tokio::time::Instant;

use crate::sqlite::columns::message;

/// How often to check for dead letters that another process has replayed.
pub(super) const REPLAY_CHECK_INTERVAL: Duration = Duration::from_secs(2);

/// Events to redeliver.
const UNSETTLED: &str = "SELECT seq, attempts FROM unsettled WHERE durable = ?1";

/// Replayed dead letters: they count as never delivered.
const REPLAYED: &str = "SELECT seq, attempts FROM unsettled WHERE durable = ?1 AND attempts = 0";

/// The progress of one durable.
#[derive(Default)]
pub(super) struct Progress {
    /// The last event that was read from the log.
    cursor: i64,
    in_flight: BTreeMap<i64, InFlight>,
    /// When to redeliver an event, and how often it has been delivered.
    redeliveries: BTreeMap<(Instant, i64), u32>,
    /// The events in `redeliveries`.
    awaiting_redelivery: BTreeSet<i64>,
    /// When `unsettled` was last read; `None` to read it next time.
    replays_checked_at: Option<Instant>,
}

/// A delivery that is not settled.
struct InFlight {
    reader: u64,
    attempt: u32,
    /// Whether the event is in `unsettled`, so that the position may pass it.
    is_stored: bool,
}

/// The position of a durable as it was last saved.
pub(super) fn stored_position(db: &Connection, durable: &str) -> rusqlite::Result<i64> {
    db.prepare_cached("SELECT position FROM durables WHERE name = ?1")?.query_row([durable], |row| row.get(0))
}

impl Progress {
    /// Reads the progress of a durable.
    pub(super) fn load(db: &Connection, durable: &str) -> rusqlite::Result<Self> {
        let cursor = stored_position(db, durable)?;
        let mut progress = Self { cursor, ..Self::default() };
        progress.schedule_unsettled(db, durable, UNSETTLED)?;
        Ok(progress)
    }

    /// The position to store: every event up to it is settled or in `unsettled`.
    pub(super) fn position(&self) -> i64 {
        let first = self.in_flight.iter().find(|(_, delivery)| !delivery.is_stored);
        first.map_or(self.cursor, |(seq, _)| seq - 1)
    }

    /// When the next redelivery is due.
    pub(super) fn next_redelivery(&self) -> Option<Instant> {
        self.redeliveries.first_key_value().map(|((due, _), _)| *due)
    }

    /// Takes events to deliver, at most `limit`: those due for redelivery, then new ones.
    pub(super) fn take(
        &mut self,
        db: &Connection,
        durable: Durable,
        reader: u64,
        limit: usize,
    ) -> rusqlite::Result<Vec<Delivery>> {
        if self.replays_checked_at.is_none_or(|at| at.elapsed() >= REPLAY_CHECK_INTERVAL) {
            self.schedule_unsettled(db, durable.name, REPLAYED)?;
        }
        let mut deliveries = Vec::new();
        self.take_redeliveries(db, reader, limit, &mut deliveries)?;
        self.take_new(db, durable, reader, limit, &mut deliveries)?;
        Ok(deliveries)
    }

    /// Whether an event that is in flight is also in `unsettled`.
    pub(super) fn is_stored(&self, seq: i64) -> bool {
        self.in_flight.get(&seq).is_some_and(|delivery| delivery.is_stored)
    }

    /// Records that a delivery is settled for good.
    pub(super) fn settle(&mut self, seq: i64) {
        self.in_flight.remove(&seq);
    }

    /// Schedules an event that is stored in `unsettled`.
    pub(super) fn schedule_redelivery(&mut self, seq: i64, attempts: u32, due: Instant) {
        self.in_flight.remove(&seq);
        if self.awaiting_redelivery.insert(seq) {
            self.redeliveries.insert((due, seq), attempts);
        }
    }

    /// Makes the deliveries that a reader has not settled available to the others.
    pub(super) fn release(&mut self, reader: u64) {
        let released = self.in_flight.extract_if(.., |_, delivery| delivery.reader == reader);
        for (seq, delivery) in released.collect::<Vec<_>>() {
            if delivery.is_stored {
                self.schedule_redelivery(seq, delivery.attempt, Instant::now());
            } else {
                // Rereads the log from here, skipping events that are known.
                self.cursor = self.cursor.min(seq - 1);
            }
        }
    }

    /// Checks for replayed dead letters at the next opportunity.
    pub(super) fn check_replays(&mut self) {
        self.replays_checked_at = None;
    }

    fn is_known(&self, seq: i64) -> bool {
        self.in_flight.contains_key(&seq) || self.awaiting_redelivery.contains(&seq)
    }

    /// Schedules the events that `sql` selects and that are not known yet.
    fn schedule_unsettled(&mut self, db: &Connection, durable: &str, sql: &str) -> rusqlite::Result<()> {
        let now = Instant::now();
        let mut query = db.prepare_cached(sql)?;
        let mut rows = query.query([durable])?;
        while let Some(row) = rows.next()? {
            let seq = row.get(0)?;
            if !self.is_known(seq) {
                self.schedule_redelivery(seq, row.get(1)?, now);
            }
        }
        self.replays_checked_at = Some(now);
        Ok(())
    }

    fn take_redeliveries(
        &mut self,
        db: &Connection,
        reader: u64,
        limit: usize,
        deliveries: &mut Vec<Delivery>,
    ) -> rusqlite::Result<()> {
        let now = Instant::now();
        while deliveries.len() < limit
            && let Some(first) = self.redeliveries.first_entry()
            && first.key().0 <= now
        {
            let seq = first.key().1;
            let message = db
                .prepare_cached("SELECT message_id, subject, payload, traceparent FROM events WHERE seq = ?1")?
                .query_row([seq], |row| message(row, 0))?;
            let attempt = first.remove() + 1;
            self.awaiting_redelivery.remove(&seq);
            deliveries.push(self.deliver(seq, message, InFlight { reader, attempt, is_stored: true }));
        }
        Ok(())
    }

    fn take_new(
        &mut self,
        db: &Connection,
        durable: Durable,
        reader: u64,
        limit: usize,
        deliveries: &mut Vec<Delivery>,
    ) -> rusqlite::Result<()> {
        // No LIMIT: events that are known already must not hide those after them.
        let mut query = db.prepare_cached(
            "SELECT message_id, subject, payload, traceparent, seq FROM events
             WHERE subject = ?1 AND seq > ?2 ORDER BY seq",
        )?;
        let mut rows = query.query(params![durable.subject.as_str(), self.cursor])?;
        while deliveries.len() < limit
            && let Some(row) = rows.next()?
        {
            let seq = row.get(4)?;
            // After a crash or a release, the log above the cursor has events that are scheduled or in flight.
            if !self.is_known(seq) {
                let message = message(row, 0)?;
                deliveries.push(self.deliver(seq, message, InFlight { reader, attempt: 1, is_stored: false }));
            }
            self.cursor = seq;
        }
        Ok(())
    }

    fn deliver(&mut self, seq: i64, message: Message, delivery: InFlight) -> Delivery {
        let attempt = delivery.attempt;
        self.in_flight.insert(seq, delivery);
        Delivery { token: seq.unsigned_abs(), attempt, message }
    }
}
