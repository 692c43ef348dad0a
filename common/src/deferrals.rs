//! The messages that a listener has deferred: for how long, and how often it failed to handle them.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The most messages to remember, about a megabyte. Later ones are younger, so the oldest age stays right.
const MAX_MESSAGES: usize = 10_000;

/// A message that is overdue for this long was redelivered to another replica.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// The delay before the first retry. It doubles with each retry, up to [`MAX_RETRY_DELAY`].
const MIN_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

/// The messages that one listener has deferred, by id.
#[derive(Default)]
pub(crate) struct Deferrals(HashMap<String, Deferral>);

struct Deferral {
    since: Instant,
    due: Instant,
    failures: u32,
}

/// The delay after this attempt.
pub(crate) fn retry_delay(attempt: u32) -> Duration {
    MIN_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(MAX_RETRY_DELAY)
}

impl Deferrals {
    /// Remembers that a message is deferred after this attempt, for `delay`, without having failed.
    pub(crate) fn wait(&mut self, id: &str, attempt: u32, delay: Duration) {
        self.defer(id, attempt, delay);
    }

    /// Remembers that a message is deferred because this attempt failed. Returns how often that has happened since this
    /// process started.
    pub(crate) fn failure(&mut self, id: &str, attempt: u32) -> u32 {
        let Some(deferral) = self.defer(id, attempt, retry_delay(attempt)) else { return attempt };
        deferral.failures += 1;
        deferral.failures
    }

    /// Forgets a message that is acknowledged or rejected.
    pub(crate) fn settle(&mut self, id: &str) {
        self.0.remove(id);
    }

    /// For how long the oldest deferred message has been waiting.
    pub(crate) fn oldest_age(&mut self) -> Duration {
        self.0.retain(|_, deferral| deferral.due.elapsed() < LOST_AFTER);
        self.0.values().map(|deferral| deferral.since.elapsed()).max().unwrap_or_default()
    }

    /// `None` if there are too many to remember this one.
    fn defer(&mut self, id: &str, attempt: u32, delay: Duration) -> Option<&mut Deferral> {
        let now = Instant::now();
        let due = now + delay;
        if !self.0.contains_key(id) {
            if self.0.len() >= MAX_MESSAGES {
                return None;
            }
            // Another replica, or this one before a restart, may have deferred it before.
            let waited = (1..attempt).map(retry_delay).sum();
            let since = now.checked_sub(waited).unwrap_or(now);
            self.0.insert(id.to_owned(), Deferral { since, due, failures: 0 });
        }
        let deferral = self.0.get_mut(id)?;
        deferral.due = due;
        Some(deferral)
    }
}
