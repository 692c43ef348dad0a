//! The readers of a durable.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{BusError, Delivery, Durable, Subscription, Verdict};
use rusqlite::{Connection, params};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::progress::{Progress, REPLAY_CHECK_INTERVAL, stored_position};
use crate::sqlite::file::SqliteFile;

/// What the readers of one durable share.
pub(super) struct Consumer {
    durable: Durable,
    progress: Mutex<Progress>,
    /// Whether a write of the position is already queued.
    save_queued: AtomicBool,
    /// Wakes a waiting reader when redeliveries have changed.
    redeliveries_changed: Notify,
}

impl Consumer {
    pub(super) fn new(durable: Durable, progress: Progress) -> Self {
        Self {
            durable,
            progress: Mutex::new(progress),
            save_queued: AtomicBool::new(false),
            redeliveries_changed: Notify::new(),
        }
    }

    /// Delivers replayed dead letters without waiting for the next check.
    pub(super) fn check_replays(&self) {
        self.progress().check_replays();
        self.redeliveries_changed.notify_one();
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One reader of a durable.
pub(super) struct SqliteSubscription {
    pub(super) file: SqliteFile,
    pub(super) consumer: Arc<Consumer>,
    /// Changes when the durable's subject has new events.
    pub(super) arrivals: watch::Receiver<()>,
    /// Tells the deliveries of this reader from those of others.
    pub(super) reader: u64,
}

#[async_trait]
impl Subscription for SqliteSubscription {
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let mut arrivals = self.arrivals.clone();
        loop {
            // Before reading the log, so that no arrival is missed in between.
            arrivals.mark_unchanged();
            let (deliveries, due) = self.take(limit)?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            tokio::select! {
                changed = arrivals.changed() => changed.map_err(|_| BusError::unavailable("the bus was closed"))?,
                () = self.consumer.redeliveries_changed.notified() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
                () = sleep(REPLAY_CHECK_INTERVAL) => self.save_lost_position()?,
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError> {
        let (seq, attempt) = (delivery.token.cast_signed(), delivery.attempt);
        match verdict {
            Verdict::Ack => self.ack(seq).await?,
            Verdict::Retry(delay) => self.retry(seq, attempt, delay).await?,
            Verdict::Reject(reason) => self.reject(seq, attempt, reason).await?,
        }
        self.save_position();
        Ok(())
    }
}

impl SqliteSubscription {
    /// Takes deliveries, and says when the next redelivery is due.
    fn take(&self, limit: usize) -> Result<(Vec<Delivery>, Option<Instant>), BusError> {
        let mut progress = self.consumer.progress();
        let deliveries = self.file.read(|db| progress.take(db, self.consumer.durable, self.reader, limit))?;
        Ok((deliveries, progress.next_redelivery()))
    }

    async fn ack(&self, seq: i64) -> Result<(), BusError> {
        let durable = self.consumer.durable.name;
        let is_stored = self.consumer.progress().is_stored(seq);
        if is_stored {
            // If this fails, the delivery stays in flight until the reader is dropped, which redelivers it.
            self.file.write(move |db| delete_unsettled(db, durable, seq)).await?;
        }
        self.consumer.progress().settle(seq);
        Ok(())
    }

    async fn retry(&self, seq: i64, attempt: u32, delay: Duration) -> Result<(), BusError> {
        let durable = self.consumer.durable.name;
        let store = move |db: &Connection| {
            db.prepare_cached("INSERT OR REPLACE INTO unsettled (durable, seq, attempts) VALUES (?1, ?2, ?3)")?
                .execute(params![durable, seq, attempt])
        };
        self.file.write(store).await?;
        self.consumer.progress().schedule_redelivery(seq, attempt, Instant::now() + delay);
        // Another reader may be waiting for a later redelivery, or for none.
        self.consumer.redeliveries_changed.notify_one();
        Ok(())
    }

    async fn reject(&self, seq: i64, attempt: u32, reason: String) -> Result<(), BusError> {
        let durable = self.consumer.durable.name;
        let store = move |db: &Connection| {
            db.execute(
                "INSERT OR IGNORE INTO dead_letters
                     (durable, seq, attempts, reason, message_id, subject, payload, traceparent)
                 SELECT ?1, ?2, ?3, ?4, message_id, subject, payload, traceparent FROM events WHERE seq = ?2",
                params![durable, seq, attempt, reason],
            )?;
            delete_unsettled(db, durable, seq)
        };
        self.file.write(store).await?;
        self.consumer.progress().settle(seq);
        Ok(())
    }

    /// Saves the position again if that has failed, for example on a full disk.
    fn save_lost_position(&self) -> Result<(), BusError> {
        let stored = self.file.read(|db| stored_position(db, self.consumer.durable.name))?;
        if stored != self.consumer.progress().position() {
            self.save_position();
        }
        Ok(())
    }

    /// Queues a write of the position, unless one is queued already: that one will write the position of its time.
    fn save_position(&self) {
        if self.consumer.save_queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let consumer = self.consumer.clone();
        let save = move |db: &Connection| {
            consumer.save_queued.store(false, Ordering::Release);
            let position = consumer.progress().position();
            db.prepare_cached("UPDATE durables SET position = ?2 WHERE name = ?1")?
                .execute(params![consumer.durable.name, position])
                .map(|_| ())
        };
        if !self.file.write_later(save) {
            self.consumer.save_queued.store(false, Ordering::Release);
        }
    }
}

impl Drop for SqliteSubscription {
    fn drop(&mut self) {
        self.consumer.progress().release(self.reader);
        self.consumer.redeliveries_changed.notify_one();
    }
}

fn delete_unsettled(db: &Connection, durable: &str, seq: i64) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM unsettled WHERE durable = ?1 AND seq = ?2")?
        .execute(params![durable, seq])
        .map(|_| ())
}
