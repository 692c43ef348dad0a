//! What the checker reports.

use std::collections::HashMap;
use std::fmt::Display;

use serde::Serialize;

/// What records can violate: being valid, which may explain other differences, then the invariants of ARCHITECTURE.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Invariant {
    Documents,
    OneLiveOrder,
    EventsPublished,
    EventsHandled,
    Versions,
    Reservations,
    Money,
    Expiry,
    Cents,
    DeadLetters,
}

impl Invariant {
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Documents => "Every stored record is valid",
            Self::OneLiveOrder => "1. A ticket has at most one live order",
            Self::EventsPublished => "2. Each change is announced by its event",
            Self::EventsHandled => "3. Each event reaches every listener",
            Self::Versions => "4. One event per version, no gaps",
            Self::Reservations => "5. A ticket is reserved for its live order",
            Self::Money => "6. A complete order is charged once, in full, and nothing else is held or charged",
            Self::Expiry => "7. An unpaid order is cancelled in time",
            Self::Cents => "8. Money is integer cents",
            Self::DeadLetters => "10. No event is rejected",
        }
    }
}

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) invariant: Invariant,
    /// The records, their versions, and what differs. Identifies the finding.
    pub(super) text: String,
    /// What to do about it.
    pub(super) remedy: String,
    /// The work in flight that explains it.
    pub(super) waits_for: Option<String>,
}

/// Collects differences.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, invariant: Invariant, text: String, remedy: impl Into<String>) {
        self.add_unless(None, invariant, text, remedy);
    }

    /// Adds a difference that work in flight explains, if there is some.
    pub(super) fn add_unless(
        &mut self,
        waits_for: Option<String>,
        invariant: Invariant,
        text: String,
        remedy: impl Into<String>,
    ) {
        self.0.push(Finding { invariant, text, remedy: remedy.into(), waits_for });
    }

    /// Those that were there before. What was in flight then may have arrived between two reads, so it still is.
    pub(super) fn persisting(self, before: Self) -> Self {
        let mut before: HashMap<String, Finding> =
            before.0.into_iter().map(|finding| (finding.text.clone(), finding)).collect();
        let again = self.0.into_iter().filter_map(|finding| {
            let earlier = before.remove(&finding.text)?;
            Some(Finding { waits_for: finding.waits_for.or(earlier.waits_for), ..finding })
        });
        Self(again.collect())
    }
}

/// The command that sends the newest event of a record again.
pub(super) fn republish(service: &str, id: impl Display) -> String {
    format!("Run `ticketing republish {service} --id {id}`.")
}

/// What to do about a database that lacks records or versions that others know.
pub(super) fn restored(service: &str) -> String {
    let remedy = match service {
        "payments" => "Compare it with Stripe: `ticketing payments drift`.",
        _ => "Restart its service, which restores it from its events.",
    };
    format!("Was the database of {service} restored from an older copy? {remedy}")
}

/// The name of a state as it is stored.
pub(super) fn name(status: impl Serialize) -> String {
    serde_json::to_value(status).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}
