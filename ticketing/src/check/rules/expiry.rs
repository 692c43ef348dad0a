//! Open orders expire in time.

use std::time::Duration;

use crate::check::finding::{Findings, Invariant};
use crate::check::read::Snapshot;
use crate::check::records::Order;

/// How late an order may be cancelled, even if its expiry is lost.
const GRACE: Duration = Duration::from_secs(10);

/// A job that is due so soon may be done between two reads.
const MARGIN: Duration = Duration::from_secs(2);

pub(super) fn check(snapshot: &Snapshot, earlier: &Snapshot, found: &mut Findings) {
    for order in open_orders(snapshot).filter(|order| order.expires_at.plus(GRACE) < snapshot.now) {
        overdue(snapshot, order, found);
    }
    missing_jobs(snapshot, earlier, found);
}

fn open_orders(snapshot: &Snapshot) -> impl Iterator<Item = &Order> {
    let orders = snapshot.orders.iter().flat_map(|orders| orders.values());
    orders.map(|written| &written.record).filter(|order| order.is_open())
}

fn overdue(snapshot: &Snapshot, order: &Order, found: &mut Findings) {
    let Order { id, version, expires_at, .. } = order;
    let text = format!("order {id} (version {version}) expired at {expires_at} and is not cancelled");
    let start = || snapshot.is_stopped.then(|| "the start of the system".to_owned());
    let waits = snapshot.awaits("orders", &[id]).or_else(start);
    found.add_unless(waits, Invariant::Expiry, text, "The orders service cancels it within seconds. Does that run?");
}

/// Each order that was open before and after the jobs were counted has a job. The port does not say which, and jobs of
/// orders that have ended can hide a missing one.
fn missing_jobs(snapshot: &Snapshot, earlier: &Snapshot, found: &mut Findings) {
    let Some(jobs) = earlier.jobs else { return };
    let needs_job = |order: &&Order| {
        let is_known = earlier.awaits("expiration", &[&order.id]).is_none();
        is_known && earlier.order(order.id).is_some_and(Order::is_open) && order.expires_at > earlier.now.plus(MARGIN)
    };
    let open = open_orders(snapshot).filter(needs_job).count();
    if u64::try_from(open).is_ok_and(|open| open > jobs) {
        found.add(
            Invariant::Expiry,
            "open orders have no delayed job".to_owned(),
            format!("There are {open} open orders and {jobs} jobs. See LateJobs in docs/runbook.md."),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use common::clock::Timestamp;

    use super::*;
    use crate::check::records::{Records, Written};

    const NOW: Timestamp = Timestamp::from_millis(0);

    /// A snapshot of one order and a number of jobs.
    fn snapshot(status: &str, jobs: u64) -> Snapshot {
        let id = "65c0ffee65c0ffee65000003";
        let ticket = serde_json::json!({"id": id, "version": 0, "title": "Concert", "price": 2000});
        let order = serde_json::json!({
            "id": id, "version": 0, "userId": id, "status": status, "expiresAt": "2026-01-31T12:00:00.000Z", "ticket": ticket,
        });
        let order: Order = serde_json::from_value(order).unwrap();
        Snapshot {
            now: NOW,
            is_stopped: false,
            orders: Some(Records::<Order>::from([(order.id, Written { record: order, at: NOW })])),
            jobs: Some(jobs),
            tickets: None,
            ticket_copies: None,
            order_copies: None,
            payments: None,
            outbox: Vec::new(),
            unpublished: HashMap::new(),
            log: None,
            ledger: None,
            found: Findings::default(),
        }
    }

    #[test]
    fn an_order_that_ends_while_the_jobs_are_counted_needs_none() {
        for (before, after, reported) in
            [("created", "created", 1), ("created", "complete", 0), ("cancelled", "created", 0)]
        {
            let mut found = Findings::default();
            missing_jobs(&snapshot(after, 1), &snapshot(before, 0), &mut found);
            assert_eq!(found.0.len(), reported, "{before}, then {after}");
        }
        let mut found = Findings::default();
        missing_jobs(&snapshot("created", 0), &snapshot("created", 1), &mut found);
        assert!(found.0.is_empty());
    }
}
