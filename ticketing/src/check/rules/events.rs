//! Changes and the events that announce them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::time::Duration;

use common::clock::Timestamp;

use payments::PaymentStatus;

use crate::check::finding::{Findings, Invariant, name, republish, restored};
use crate::check::log::{Announced, Log};
use crate::check::read::Snapshot;
use crate::check::records::{Order, Ticket, Written};

/// How long an event may wait in an outbox.
const MAX_AGE: Duration = Duration::from_secs(5);

pub(super) fn check(snapshot: &Snapshot, found: &mut Findings) {
    outboxes(snapshot, found);
    let Some(log) = &snapshot.log else { return };
    if let Some(tickets) = &snapshot.tickets {
        let log = Events { service: "tickets", kind: "ticket", announced: &log.tickets, since: log.complete_since };
        log.check(tickets, |ticket| ticket.version, snapshot, found);
    }
    if let Some(orders) = &snapshot.orders {
        let log = Events { service: "orders", kind: "order", announced: &log.orders, since: log.complete_since };
        log.check(orders, |order| order.version, snapshot, found);
    }
    ticket_events(snapshot, log, found);
    order_events(snapshot, log, found);
    payment_events(snapshot, log, found);
}

fn outboxes(snapshot: &Snapshot, found: &mut Findings) {
    for waiting in &snapshot.outbox {
        let (id, service) = (&waiting.message.id, waiting.service);
        if snapshot.now.since(waiting.since) < MAX_AGE && !snapshot.is_stopped {
            continue;
        }
        let text = format!("{id} has been in the outbox of {service} since {}", waiting.since);
        let waits = snapshot.is_stopped.then(|| "the start of the system".to_owned());
        found.add_unless(waits, Invariant::EventsPublished, text, "See OutboxOld in docs/runbook.md.");
    }
}

/// The events of one kind of record.
struct Events<'a, I, E> {
    service: &'static str,
    kind: &'static str,
    announced: &'a BTreeMap<I, Announced<E>>,
    /// The events of later changes are retained.
    since: Timestamp,
}

impl<I: Ord + Display, E> Events<'_, I, E> {
    fn check<T>(
        &self,
        records: &BTreeMap<I, Written<T>>,
        version: impl Fn(&T) -> u64,
        snapshot: &Snapshot,
        found: &mut Findings,
    ) {
        let Self { service, kind, announced, since } = self;
        for (id, Announced { versions, .. }) in *announced {
            self.versions(id, versions, records.get(id).map(|written| version(&written.record)), snapshot, found);
        }
        for (id, Written { record, .. }) in records.iter().filter(|(_, written)| written.at >= *since) {
            if announced.contains_key(id) {
                continue;
            }
            let text = format!("{kind} {id} (version {}) was never announced", version(record));
            let waits = snapshot.unpublished(&id.to_string());
            found.add_unless(waits, Invariant::EventsPublished, text, republish(service, id));
        }
    }

    /// The versions on the bus have no gaps and end at that of the record.
    fn versions(
        &self,
        id: &I,
        versions: &BTreeSet<u64>,
        record: Option<u64>,
        snapshot: &Snapshot,
        found: &mut Findings,
    ) {
        let Self { service, kind, .. } = self;
        let (Some(first), Some(newest)) = (versions.first(), versions.last()) else { return };
        let gap = (*first..*newest).find(|version| !versions.contains(version));
        let unpublished = || snapshot.unpublished(&id.to_string());
        if let Some(gap) = gap {
            let text = format!("{kind} {id} was announced in versions {first} to {newest} without version {gap}");
            found.add_unless(
                unpublished(),
                Invariant::Versions,
                text,
                format!(
                    "Each later event has the whole {kind}, so nothing is lost. Find out who wrote to the database."
                ),
            );
        }
        match record {
            Some(record) if *newest > record => {
                let text = format!("{kind} {id} is version {record} at {service}, but version {newest} on the bus");
                found.add(Invariant::Versions, text, restored(service));
            }
            Some(record) if *newest < record => {
                let text = format!("{kind} {id} is version {record} at {service}, but version {newest} on the bus");
                found.add_unless(unpublished(), Invariant::EventsPublished, text, republish(service, id));
            }
            Some(_) => {}
            None => {
                let text = format!("{kind} {id} was announced in version {newest}, but does not exist at {service}");
                found.add(Invariant::Versions, text, restored(service));
            }
        }
    }
}

/// The newest event of a ticket has its fields.
fn ticket_events(snapshot: &Snapshot, log: &Log, found: &mut Findings) {
    for (id, Announced { versions, newest }) in &log.tickets {
        let Some(Ticket { version, title, price, user_id, order_id, .. }) = snapshot.ticket(*id) else { continue };
        let announced = (&newest.title, newest.price.cents(), &newest.user_id, &newest.order_id);
        if versions.last() == Some(version) && announced != (title, *price, user_id, order_id) {
            differs(found, "tickets", "ticket", id, *version);
        }
    }
}

/// The newest event of an order has its fields.
fn order_events(snapshot: &Snapshot, log: &Log, found: &mut Findings) {
    for (id, Announced { versions, newest }) in &log.orders {
        let Some(Order { version, user_id, status, expires_at, ticket, .. }) = snapshot.order(*id) else { continue };
        let announced =
            (newest.user_id, newest.status, newest.expires_at, newest.ticket.id, newest.ticket.price.cents());
        let is_newest = versions.last() == Some(version);
        if is_newest && announced != (*user_id, *status, *expires_at, ticket.id, ticket.price) {
            differs(found, "orders", "order", id, *version);
        }
    }
}

fn differs(found: &mut Findings, service: &str, kind: &str, id: impl Display, version: u64) {
    let text = format!("{kind} {id} (version {version}) at {service} differs from its event of the same version");
    found.add(Invariant::EventsPublished, text, format!("Was it edited by hand? Correct the {kind}."));
}

/// Announced payments exist, and payments that orders must know of are announced.
fn payment_events(snapshot: &Snapshot, log: &Log, found: &mut Findings) {
    let Some(payments) = &snapshot.payments else { return };
    for id in log.payments.keys().filter(|id| !payments.contains_key(id)) {
        let text = format!("payment {id} was announced, but does not exist at payments");
        found.add(Invariant::Versions, text, restored("payments"));
    }
    for (id, Written { record, .. }) in payments {
        let relies =
            matches!(record.status, PaymentStatus::Authorised | PaymentStatus::Capturing | PaymentStatus::Captured);
        if !relies || log.payments.get(id) == Some(&true) || record.attempted_at < log.complete_since {
            continue;
        }
        let text = format!("payment {id} (version {}, {}) was never announced", record.version, name(record.status));
        let waits = snapshot.unpublished(&id.to_string());
        found.add_unless(waits, Invariant::EventsPublished, text, republish("payments", id));
    }
}
