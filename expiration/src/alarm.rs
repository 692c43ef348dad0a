//! The worker's sleep, which an earlier deadline cuts short.

use std::sync::Arc;

use common::clock::{Clock, Timestamp};
use tokio::sync::watch;

const NEVER: Timestamp = Timestamp::from_millis(i64::MAX);

/// Lets listeners wake the worker for a job that is due before the worker would wake by itself.
pub(crate) struct Alarm {
    clock: Arc<dyn Clock>,
    /// The earliest deadline noted since the last reset.
    earliest: watch::Sender<Timestamp>,
}

impl Alarm {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, earliest: watch::Sender::new(NEVER) }
    }

    /// Forgets the noted deadlines. To be called before reading the jobs: their next deadline includes those noted so
    /// far, and those noted from now on cut the next sleep short.
    pub(crate) fn reset(&self) {
        self.earliest.send_replace(NEVER);
    }

    /// Notes the deadline of a job that is already stored.
    ///
    /// Orders usually arrive in the order of their deadlines, so only the first of many wakes a task.
    pub(crate) fn note(&self, due: Timestamp) {
        self.earliest.send_if_modified(|earliest| {
            let before = *earliest;
            *earliest = before.min(due);
            *earliest != before
        });
    }

    /// Sleeps until `deadline`, or until an earlier one has been noted.
    pub(crate) async fn sleep_until(&self, deadline: Timestamp) {
        let mut earliest = self.earliest.subscribe();
        tokio::select! {
            () = self.clock.sleep_until(deadline) => {}
            // Cannot fail: `self` keeps the sender alive.
            _ = earliest.wait_for(|earliest| *earliest < deadline) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Wake, Waker};
    use std::time::Duration;

    use common::clock::ManualClock;
    use futures_util::FutureExt;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn alarm() -> (Alarm, ManualClock) {
        let clock = ManualClock::at(at(0));
        (Alarm::new(Arc::new(clock.clone())), clock)
    }

    fn sleeps_until(alarm: &Alarm, deadline: Timestamp) -> bool {
        alarm.sleep_until(deadline).now_or_never().is_none()
    }

    #[test]
    fn a_sleep_ends_at_its_deadline() {
        let (alarm, clock) = alarm();
        clock.advance(Duration::from_millis(9));
        assert!(sleeps_until(&alarm, at(10)));
        clock.advance(Duration::from_millis(1));
        assert!(!sleeps_until(&alarm, at(10)));
    }

    #[test]
    fn only_an_earlier_deadline_noted_since_the_reset_cuts_the_sleep() {
        let (alarm, _clock) = alarm();
        alarm.note(at(20));
        alarm.note(at(10));
        alarm.note(at(30));
        assert!(sleeps_until(&alarm, at(10)));
        assert!(!sleeps_until(&alarm, at(11)));
        alarm.reset();
        assert!(sleeps_until(&alarm, at(11)));
    }

    #[test]
    fn later_deadlines_do_not_wake_the_sleeper() {
        let (alarm, _clock) = alarm();
        alarm.note(at(20));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut sleep = pin!(alarm.sleep_until(at(10)));
        let mut poll = || sleep.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        assert!(!poll());
        (20..1000).for_each(|due| alarm.note(at(due)));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 0);
        alarm.note(at(9));
        assert_eq!(wakes.0.load(Ordering::SeqCst), 1);
        assert!(poll());
    }
}
