//! Live orders and the tickets that are reserved for them.

use std::collections::HashMap;

use common::ids::{OrderId, TicketId};

use crate::check::finding::{Findings, Invariant, name, republish, restored};
use crate::check::read::Snapshot;
use crate::check::records::{Order, Ticket};

pub(super) fn check(snapshot: &Snapshot, found: &mut Findings) {
    for written in snapshot.orders.iter().flat_map(|orders| orders.values()) {
        live_fields(&written.record, found);
    }
    one_live_order(snapshot, found);
    let Some((tickets, orders)) = snapshot.all() else { return };
    for written in orders.values().filter(|written| written.record.is_live()) {
        reserved(snapshot, &written.record, found);
    }
    for written in tickets.values() {
        reserved_for_live_order(snapshot, &written.record, found);
    }
}

/// The fields that the indexes are made of.
fn live_fields(order: &Order, found: &mut Findings) {
    let Order { id, version, status, ticket, live_ticket_id, .. } = order;
    let remedy = "Was it edited by hand? Correct the field, because an index relies on it.";
    if *live_ticket_id != order.is_live().then_some(ticket.id) {
        let text = format!("order {id} (version {version}, {}) has a wrong liveTicketId", name(status));
        found.add(Invariant::OneLiveOrder, text, remedy);
    }
    if order.open.is_some() != order.is_open() {
        let text = format!("order {id} (version {version}, {}) has a wrong mark `open`", name(status));
        found.add(Invariant::Expiry, text, remedy);
    }
}

fn one_live_order(snapshot: &Snapshot, found: &mut Findings) {
    let mut live = HashMap::<TicketId, OrderId>::new();
    let orders = snapshot.orders.iter().flat_map(|orders| orders.values().map(|written| &written.record));
    for order in orders.filter(|order| order.is_live()) {
        let Some(first) = live.insert(order.ticket.id, order.id) else { continue };
        let text = format!("ticket {} has two live orders: {first} and {}", order.ticket.id, order.id);
        found.add(
            Invariant::OneLiveOrder,
            text,
            "Let one buyer cancel, or refund with `ticketing payments refund ORDER`.",
        );
    }
}

/// The ticket of a live order is reserved for it.
fn reserved(snapshot: &Snapshot, order: &Order, found: &mut Findings) {
    let Order { id, version, ticket, .. } = order;
    let Some(reserved) = snapshot.ticket(ticket.id) else {
        let text = format!("order {id} (version {version}) is for ticket {}, which does not exist", ticket.id);
        return found.add(Invariant::Reservations, text, restored("tickets"));
    };
    let Ticket { id: ticket, version: of_ticket, order_id, .. } = reserved;
    if *order_id == Some(*id) {
        return;
    }
    let holder = order_id.map_or_else(|| "no order".to_owned(), |order| format!("order {order}"));
    let text = format!(
        "ticket {ticket} (version {of_ticket}) is reserved for {holder}, but its live order is {id} (version {version})"
    );
    let waits = match order_id {
        Some(holder) => snapshot.awaits("tickets", &[id, holder]),
        None => snapshot.awaits("tickets", &[id]),
    };
    found.add_unless(waits, Invariant::Reservations, text, republish("orders", id));
}

/// A ticket is reserved only for a live order.
fn reserved_for_live_order(snapshot: &Snapshot, ticket: &Ticket, found: &mut Findings) {
    let Ticket { id, version, order_id: Some(holder), .. } = ticket else { return };
    let Some(order) = snapshot.order(*holder) else {
        let text = format!("ticket {id} (version {version}) is reserved for order {holder}, which does not exist");
        return found.add(Invariant::Reservations, text, restored("orders"));
    };
    if order.ticket.id != *id {
        let text = format!(
            "ticket {id} (version {version}) is reserved for order {holder}, which is for ticket {}",
            order.ticket.id
        );
        found.add(Invariant::Reservations, text, "Was it edited by hand? Correct the ticket.");
    } else if !order.is_live() {
        let of_order = order.version;
        let text = format!(
            "ticket {id} (version {version}) is reserved for order {holder} (version {of_order}), which is cancelled"
        );
        let waits = snapshot.awaits("tickets", &[holder]);
        found.add_unless(waits, Invariant::Reservations, text, republish("orders", holder));
    }
}
