//! Marks: some of the events that a service has published, by which it notices that the bus has lost events.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bus::Receipt;
use crate::clock::Timestamp;

/// How long a mark moves with the events before the next one begins.
const INTERVAL: Duration = Duration::from_secs(10);

/// A published event, where the bus stored it, and what else was published since the mark before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mark {
    #[serde(flatten)]
    receipt: Receipt,
    /// When the first of these events was published.
    begun_at: Timestamp,
    /// When the oldest of the changes was written that these events announce.
    oldest: Timestamp,
}

/// What a service knows about the events that it has published. Shared by its tasks.
#[derive(Clone, Default)]
pub struct Published(Arc<Mutex<Marks>>);

impl Published {
    pub(super) fn new(marks: Marks) -> Self {
        Self(Arc::new(Mutex::new(marks)))
    }

    pub(super) fn marks(&self) -> MutexGuard<'_, Marks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The position of the newest mark.
    pub(crate) fn position(&self) -> Option<u64> {
        self.marks().marks.last().map(|mark| mark.receipt.position)
    }
}

/// The marks of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Marks {
    /// Oldest first. The older they are, the fewer there are.
    marks: Vec<Mark>,
    /// If the bus has lost events: changes written since then have to be announced again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_since: Option<Timestamp>,
}

impl Marks {
    /// Notes that events were published. `receipt` is that of the last one, `oldest` the time of the oldest change.
    pub(super) fn note(&mut self, receipt: Receipt, oldest: Timestamp, now: Timestamp) {
        match self.marks.last_mut() {
            Some(last) if now.since(last.begun_at) < INTERVAL && last.receipt.connection == receipt.connection => {
                last.receipt = receipt;
                last.oldest = last.oldest.min(oldest);
            }
            _ => {
                self.marks.push(Mark { receipt, begun_at: now, oldest });
                self.thin_out(now);
            }
        }
    }

    /// The receipts of the marks, newest first.
    pub(super) fn receipts(&self) -> Vec<Receipt> {
        self.marks.iter().rev().map(|mark| mark.receipt.clone()).collect()
    }

    /// Drops the marks of events that the bus no longer has, and remembers from when on changes have to be announced
    /// again.
    pub(super) fn drop_lost(&mut self, lost: &[Receipt]) {
        let is_lost = |mark: &mut Mark| lost.contains(&mark.receipt);
        let oldest = self.marks.extract_if(.., is_lost).map(|mark| mark.oldest).min();
        // Without a mark that is left, there is no telling what was lost before the first one.
        let oldest = if self.marks.is_empty() { oldest.and(Some(Timestamp::from_millis(0))) } else { oldest };
        self.lost_since = oldest.into_iter().chain(self.lost_since).min();
    }

    /// From when on changes have to be announced again.
    pub(super) fn lost_since(&self) -> Option<Timestamp> {
        self.lost_since
    }

    /// Notes that the changes since then are announced again.
    pub(super) fn announced(&mut self, since: Timestamp) {
        self.lost_since = self.lost_since.filter(|other| *other < since);
    }

    /// Keeps one mark for each doubling of the age, the oldest one, and all that are younger than [`INTERVAL`]. What a
    /// dropped mark stands for passes to the next.
    fn thin_out(&mut self, now: Timestamp) {
        let age = |mark: &Mark| (now.since(mark.begun_at).as_secs() / INTERVAL.as_secs() + 1).ilog2();
        let mut kept: Vec<Mark> = Vec::with_capacity(self.marks.len());
        let mut dropped: Option<Timestamp> = None;
        for mut mark in std::mem::take(&mut self.marks) {
            if age(&mark) > 0 && kept.last().is_some_and(|older| age(older) == age(&mark)) {
                dropped = Some(dropped.map_or(mark.oldest, |oldest| oldest.min(mark.oldest)));
                continue;
            }
            mark.oldest = dropped.take().map_or(mark.oldest, |oldest| oldest.min(mark.oldest));
            kept.push(mark);
        }
        self.marks = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn receipt(position: u64) -> Receipt {
        Receipt { position, message_id: format!("ticket:created/{position}/0"), connection: 0 }
    }

    /// Marks of a service that publishes an event every second, whose change was written in the second before.
    fn marks(seconds: u64) -> Marks {
        let mut marks = Marks::default();
        for second in 1..=seconds {
            let now = at(second.cast_signed());
            marks.note(receipt(second), now.minus(Duration::from_secs(1)), now);
        }
        marks
    }

    /// Drops the marks of the events after position `kept`.
    fn lose(marks: &mut Marks, kept: u64) -> Option<Timestamp> {
        let lost: Vec<Receipt> = marks.receipts().into_iter().take_while(|receipt| receipt.position > kept).collect();
        marks.drop_lost(&lost);
        marks.lost_since()
    }

    #[test]
    fn the_newest_mark_is_the_last_event_and_old_ones_are_few() {
        for seconds in [1, 9, 10, 11, 100, 10_000] {
            assert_eq!(Published::new(marks(seconds)).position(), Some(seconds));
        }
        assert!(marks(100_000).marks.len() <= 16, "{:?}", marks(100_000));
    }

    #[test]
    fn whatever_is_lost_is_announced_again_and_not_much_more() {
        for seconds in 1..2_000 {
            for kept in [seconds / 3, seconds / 2, seconds - seconds / 10, seconds - 1] {
                let mut left = marks(seconds);
                let Some(since) = lose(&mut left, kept) else {
                    assert_eq!((kept, left), (seconds, marks(seconds)));
                    continue;
                };
                // The change of the first lost event was written at this second.
                let first = at(kept.cast_signed());
                assert!(since <= first, "{kept} of {seconds}: since {since}");
                let more = first.since(since).as_secs();
                assert!(left.marks.is_empty() || more <= 20 + 4 * (seconds - kept), "{kept} of {seconds}: {more}");
            }
        }
    }

    #[test]
    fn a_lost_connection_begins_a_mark() {
        let mut marks = marks(5);
        let reconnected = Receipt { connection: 1, ..receipt(3) };
        marks.note(reconnected.clone(), at(6), at(6));
        assert_eq!(marks.receipts(), [reconnected.clone(), receipt(5)]);
        marks.drop_lost(&[receipt(5)]);
        assert_eq!((marks.receipts(), marks.lost_since()), (vec![reconnected], Some(at(0))));
    }

    #[test]
    fn without_a_mark_that_is_left_everything_may_be_lost() {
        assert_eq!(lose(&mut marks(100), 0), Some(at(0)));
        assert_eq!(lose(&mut Marks::default(), 0), None);
    }

    #[test]
    fn a_loss_is_remembered_until_it_is_announced() {
        let mut marks = marks(100);
        let since = lose(&mut marks, 95).expect("a loss");
        let earlier = lose(&mut marks, 50).expect("another loss");
        assert!(earlier < since);
        marks.announced(since);
        assert_eq!(marks.lost_since(), Some(earlier));
        marks.announced(earlier);
        assert_eq!(marks.lost_since(), None);
    }
}
