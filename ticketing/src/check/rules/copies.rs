//! The copies of records at other services, and the events that bring them.

use std::collections::BTreeMap;
use std::fmt::Display;

use common::clock::Timestamp;
use common::events::OrderStatus;
use common::ids::{TicketId, UserId};

use crate::check::finding::{Findings, Invariant, name, republish, restored};
use crate::check::read::Snapshot;
use crate::check::records::{Ticket, TicketCopy};

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
    /// Compares the versions, then the fields. `fields` describes those of the record and of the copy if they differ.
    fn compare(&self, versions: [Option<u64>; 2], fields: Option<[String; 2]>, found: &mut Findings) {
        let Self { kind, owner, holder, id, snapshot } = self;
        let version =
            |version: Option<u64>| version.map_or_else(|| "missing".into(), |version| format!("version {version}"));
        let differs = |record: &str, copy: &str| format!("{kind} {id} is {record} at {owner}, but {copy} at {holder}");
        let text = || differs(&version(versions[0]), &version(versions[1]));
        // Nothing is older than version 0.
        if versions[0] < versions[1] {
            found.add(Invariant::EventsHandled, text(), restored(owner));
        } else if versions[0] > versions[1] {
            let waits = snapshot.awaits(holder, &[id]);
            found.add_unless(waits, Invariant::EventsHandled, text(), republish(owner, id));
        } else if let Some([record, copy]) = fields {
            let text = format!("{}, both {}", differs(&record, &copy), version(versions[0]));
            found.add(
                Invariant::EventsHandled,
                text,
                format!("Was it edited by hand? Correct the {kind} or its copy."),
            );
        }
    }
}

fn ticket_copies(snapshot: &Snapshot, found: &mut Findings) {
    let (Some(tickets), Some(copies)) = (&snapshot.tickets, &snapshot.ticket_copies) else { return };
    for id in ids(tickets, copies) {
        let ticket = snapshot.ticket(*id);
        let copy = copies.get(id).map(|copy| &copy.record);
        let versions = [ticket.map(|ticket| ticket.version), copy.map(|copy| copy.version)];
        let fields = ticket.zip(copy).and_then(|(ticket, copy)| {
            let Ticket { title, price, .. } = ticket;
            let TicketCopy { title: title_of_copy, price: price_of_copy, .. } = copy;
            let text = |title: &str, price: u64| format!("{title:?} for {price} cents");
            ((title, price) != (title_of_copy, price_of_copy))
                .then(|| [text(title, *price), text(title_of_copy, *price_of_copy)])
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
        let fields = order.zip(copy).and_then(|(order, copy)| {
            let fields = (order.status, order.ticket.id, order.ticket.price, order.user_id, order.expires_at);
            let ticket = copy.ticket_id.unwrap_or(order.ticket.id);
            let of_copy = (copy.status, ticket, copy.price, copy.user_id, copy.expires_at);
            (fields != of_copy).then(|| [fields, of_copy].map(order_text))
        });
        let copies = Copies { kind: "order", owner: "orders", holder: "payments", id, snapshot };
        copies.compare(versions, fields, found);
    }
}

fn order_text((status, ticket, price, buyer, expires_at): (OrderStatus, TicketId, u64, UserId, Timestamp)) -> String {
    format!("{} (ticket {ticket}, {price} cents, buyer {buyer}, expires at {expires_at})", name(status))
}

/// The ids in either map.
fn ids<'a, I: Ord, A, B>(a: &'a BTreeMap<I, A>, b: &'a BTreeMap<I, B>) -> impl Iterator<Item = &'a I> {
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
