//! Faults: failures of calls that a test asks for.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The kind of an API call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Operation {
    Create,
    Confirm,
    Capture,
    Cancel,
    Refund,
    Retrieve,
    List,
    Any,
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum FaultKind {
    /// Responds with 500 instead of doing the work.
    Error,
    /// Does the work, then responds with 500.
    ErrorAfter,
    /// Does the work, then breaks the connection.
    LostResponse,
    /// Breaks the connection instead of doing the work.
    Closed,
    /// Responds with 429.
    RateLimited,
    /// Responds with 409.
    Conflict,
    /// Waits, then does the work.
    Delay,
}

/// A fault that one call suffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) delay: Duration,
}

/// A fault that the name of a card asks for: the first call of the operation on its intent suffers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CardFault {
    pub(crate) operation: Operation,
    pub(crate) kind: FaultKind,
}

/// A rule that makes coming calls fail.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct FaultRule {
    operation: Operation,
    fault: FaultKind,
    /// How many matching calls are spared first.
    #[serde(default)]
    skip: u64,
    /// How many calls fail.
    #[serde(default = "one")]
    times: u64,
    #[serde(default)]
    delay_ms: u64,
    /// After `skip`, the first of each `every_nth` calls fails.
    #[serde(default = "one")]
    every_nth: u64,
    /// How many matching calls there were.
    #[serde(default, skip_deserializing)]
    seen: u64,
    /// How many of them failed.
    #[serde(default, skip_deserializing)]
    failed: u64,
}

/// The faults of coming calls. They end with the process.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<FaultRule>>,
    /// The calls that have suffered the fault of a card.
    suffered: Mutex<HashSet<(Operation, String)>>,
}

/// Why a rule is refused.
#[derive(Debug, thiserror::Error)]
#[error("{0} must be at least 1")]
pub(crate) struct InvalidRule(&'static str);

const fn one() -> u64 {
    1
}

impl Operation {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }

    fn includes(self, other: Self) -> bool {
        self == Self::Any || self == other
    }
}

impl FaultKind {
    pub(crate) fn parse(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

impl FaultRule {
    fn apply(&mut self) -> Option<Fault> {
        self.seen += 1;
        let counted = self.seen.checked_sub(self.skip + 1)?;
        if !counted.is_multiple_of(self.every_nth) || self.failed >= self.times {
            return None;
        }
        self.failed += 1;
        Some(Fault { kind: self.fault, delay: Duration::from_millis(self.delay_ms) })
    }
}

impl Faults {
    /// Adds a rule.
    pub(crate) fn add(&self, rule: FaultRule) -> Result<(), InvalidRule> {
        for (name, value) in [("times", rule.times), ("everyNth", rule.every_nth)] {
            if value == 0 {
                return Err(InvalidRule(name));
            }
        }
        lock(&self.rules).push(rule);
        Ok(())
    }

    /// All rules, with their counts.
    pub(crate) fn list(&self) -> Vec<FaultRule> {
        lock(&self.rules).clone()
    }

    /// Removes all rules.
    pub(crate) fn clear(&self) {
        lock(&self.rules).clear();
    }

    /// Counts a call and returns the fault it suffers: that of the oldest rule that applies.
    pub(crate) fn of_call(&self, operation: Operation) -> Option<Fault> {
        let mut fault = None;
        for rule in lock(&self.rules).iter_mut().filter(|rule| rule.operation.includes(operation)) {
            if fault.is_none() {
                fault = rule.apply();
            } else {
                rule.seen += 1;
            }
        }
        fault
    }

    /// The fault that the card makes this call suffer, if `scope` has not suffered it before.
    pub(crate) fn of_card(&self, card: Option<CardFault>, operation: Operation, scope: &str) -> Option<Fault> {
        /// A card's name has no place for a number.
        const DELAY: Duration = Duration::from_secs(2);
        let card = card.filter(|card| card.operation.includes(operation))?;
        let is_first = lock(&self.suffered).insert((card.operation, scope.to_owned()));
        is_first.then_some(Fault { kind: card.kind, delay: DELAY })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
