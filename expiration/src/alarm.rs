//! What the worker sleeps on.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::clock::{Clock, Timestamp};
use tokio::sync::Notify;

/// An alarm clock that can be made to ring earlier than it was set to, while its owner sleeps.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    /// In milliseconds. As long as the owner is awake, and may have looked already, every time counts as earlier.
    set_to: AtomicI64,
    earlier: Notify,
}

impl Alarm {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, set_to: AtomicI64::new(i64::MAX), earlier: Notify::new() }
    }

    /// The owner is awake and about to look when to wake next. Whatever is noted from now on cuts the next sleep.
    pub(crate) fn unset(&self) {
        self.set_to.store(i64::MAX, Ordering::SeqCst);
    }

    /// Sleeps until `time`, or until something earlier has been noted.
    pub(crate) async fn sleep_until(&self, time: Timestamp) {
        self.set_to.store(time.as_millis(), Ordering::SeqCst);
        tokio::select! {
            () = self.clock.sleep_until(time) => {}
            () = self.earlier.notified() => {}
        }
    }

    /// There is something to do at `time`; to be said once it can be seen by who wakes.
    pub(crate) fn note(&self, time: Timestamp) {
        if time.as_millis() < self.set_to.load(Ordering::SeqCst) {
            self.earlier.notify_one();
        }
    }
}
