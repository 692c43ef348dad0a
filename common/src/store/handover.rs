//! Hands stored events to the relay, so that it does not read them.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Unpublished;

/// How many events may wait for the relay in memory: about 3 MB. Further ones stay in the database.
const CAPACITY: usize = 4096;

/// The stored events on their way to the relay.
#[derive(Default)]
pub(crate) struct Handover {
    queue: Mutex<Queue>,
    filled: Notify,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Unpublished>,
    /// Whether events are only in the database.
    is_incomplete: bool,
}

impl Handover {
    /// Adds events, or leaves them to a sweep if there is no room or others are only in the database, which later ones
    /// must not overtake.
    pub(super) fn offer(&self, events: Vec<Unpublished>) {
        if events.is_empty() {
            return;
        }
        let mut queue = self.queue();
        queue.is_incomplete |= queue.events.len() + events.len() > CAPACITY;
        if !queue.is_incomplete {
            queue.events.extend(events);
        }
        drop(queue);
        self.filled.notify_one();
    }

    /// Leaves events to a sweep that may have been stored.
    pub(super) fn note_unknown(&self) {
        self.queue().is_incomplete = true;
        self.filled.notify_one();
    }

    /// Takes at most `limit` events, oldest first.
    pub(crate) fn take(&self, limit: usize) -> Vec<Unpublished> {
        let mut queue = self.queue();
        let count = limit.min(queue.events.len());
        queue.events.drain(..count).collect()
    }

    /// Whether events are only in the database. Until [`complete`](Self::complete) none is added.
    pub(crate) fn is_incomplete(&self) -> bool {
        self.queue().is_incomplete
    }

    /// Adds events again, after a sweep.
    pub(crate) fn complete(&self) {
        self.queue().is_incomplete = false;
    }

    /// Waits until events are offered.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
