//! The rules: each compares records and adds what differs.

mod copies;
mod events;
mod expiry;
mod money;
mod reservations;
mod values;

use super::finding::Findings;
use super::read::Snapshot;

/// Everything that differs. `earlier` is the snapshot before this one, if there is one.
pub(super) fn check(snapshot: &Snapshot, earlier: Option<&Snapshot>) -> Findings {
    let mut found = Findings(snapshot.found.0.clone());
    reservations::check(snapshot, &mut found);
    events::check(snapshot, &mut found);
    copies::check(snapshot, &mut found);
    money::check(snapshot, &mut found);
    expiry::check(snapshot, earlier.unwrap_or(snapshot), &mut found);
    values::check(snapshot, &mut found);
    found.0.sort_by(|a, b| (a.invariant, &a.text).cmp(&(b.invariant, &b.text)));
    found
}
