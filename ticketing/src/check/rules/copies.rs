//! The copies of records at other services, and the events that bring them.

use std::fmt::{Debug, Display};

use crate::check::finding::{Findings, Invariant, republish, restored};
use crate::check::read::Snapshot;
use crate::check::records::{Order, OrderCopy, Ticket, TicketCopy};

pub(super) fn check(snapshot: &Snapshot, found: &mut Findings) {
    ticket_copies(snapshot, found);
    order_copies(snapshot, found);
    listeners(snapshot, found);
}

/// A record and its copy.
struct Copies<'a, I> {
    kind: &'static str,
    owner: &'static str,
    holder: &'static str,
    id: I,
    snapshot: &'a Snapshot,
}

impl<I: Display> Copies<'_, I> {
    /// Compares the versions, then the fields. `fields` are those of the record and of the copy.
    fn compare<F: Debug + PartialEq>(&self, versions: [Option<u64>; 2], fields: Option<[F; 2]>, found: &mut Findings) {
        let Self { kind, owner, holder, id, snapshot } = self;
        // Nothing is older than version 0.
        let is_newer = versions[1] > versions[0];
        let version =
            |version: Option<u64>| version.map_or_else(|| "missing".into(), |version| format!("version {version}"));
        let [record, copy] = versions.map(version);
        let text = format!("{kind} {id} is {record} at {owner}, but {copy} at {holder}");
        if is_newer {
            return found.add(Invariant::EventsHandled, text, restored(owner));
        }
        if record != copy {
            let waits = snapshot.awaits(holder, &[id]);
            return found.add_unless(waits, Invariant::EventsHandled, text, republish(owner, id));
        }
        let Some([record, copy]) = fields.filter(|[record, copy]| record != copy) else { return };
        let text =
            format!("{kind} {id} is {record:?} at {owner}, but {copy:?} at {holder}, both {}", version(versions[0]));
        found.add(Invariant::EventsHandled, text, format!("Was it edited by hand? Correct the {kind} or its copy."));
    }
}

fn ticket_copies(snapshot: &Snapshot, found: &mut Findings) {
    let (Some(tickets), Some(copies)) = (&snapshot.tickets, &snapshot.ticket_copies) else { return };
    for id in ids(tickets, copies) {
        let ticket = snapshot.ticket(*id);
        let copy = copies.get(id).map(|copy| &copy.record);
        let versions = [ticket.map(|ticket| ticket.version), copy.map(|copy| copy.version)];
        let fields = ticket.zip(copy).map(|(ticket, copy)| {
            let Ticket { title, price, .. } = ticket;
            let TicketCopy { title: title_of_copy, price: price_of_copy, .. } = copy;
            [(title, price), (title_of_copy, price_of_copy)]
        });
        let copies = Copies { kind: "ticket", owner: "tickets", holder: "orders", id, snapshot };
        copies.compare(versions, fields, found);
    }
}

fn order_copies(snapshot: &Snapshot, found: &mut Findings) {
    let (Some(orders), Some(copies)) = (&snapshot.orders, &snapshot.order_copies) else { return };
    for id in ids(orders, copies) {
        let order = snapshot.order(*id);
        let copy = copies.get(id).map(|copy| &copy.record);
        let versions = [order.map(|order| order.version), copy.map(|copy| copy.version)];
        let fields = order.zip(copy).map(|(order, copy)| {
            let Order { user_id, status, expires_at, ticket, .. } = order;
            let OrderCopy { user_id: user, status: status_of_copy, expires_at: expires, price, ticket_id, .. } = copy;
            let ticket_of_copy = ticket_id.unwrap_or(ticket.id);
            [
                (user_id, status, expires_at, ticket.price, ticket.id),
                (user, status_of_copy, expires, *price, ticket_of_copy),
            ]
        });
        let copies = Copies { kind: "order", owner: "orders", holder: "payments", id, snapshot };
        copies.compare(versions, fields, found);
    }
}

/// The ids in either map.
fn ids<'a, I: Ord, A, B>(
    a: &'a std::collections::BTreeMap<I, A>,
    b: &'a std::collections::BTreeMap<I, B>,
) -> impl Iterator<Item = &'a I> {
    a.keys().chain(b.keys().filter(|id| !a.contains_key(id)))
}

/// What listeners have rejected or not handled yet.
fn listeners(snapshot: &Snapshot, found: &mut Findings) {
    let Some(log) = &snapshot.log else { return };
    for letter in &log.dead_letters {
        let text = format!("{} rejected {}: {}", letter.listener, letter.message.id, letter.reason);
        let remedy = format!("Run `ticketing dead-letters show {}`, and replay it once its cause is gone.", letter.id);
        found.add(Invariant::DeadLetters, text, remedy);
    }
    for (durable, (count, first)) in &log.backlogs {
        let text = format!("{durable} has not handled {first}");
        let waits = Some(format!("{count} in all"));
        found.add_unless(waits, Invariant::EventsHandled, text, "");
    }
}
