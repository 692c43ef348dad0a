//! Payments, the orders they pay for, and the money at Stripe.

use std::collections::{BTreeMap, HashSet};

use common::events::OrderStatus;
use common::ids::OrderId;

use payments::PaymentStatus;

use crate::check::finding::{Findings, Invariant, name, republish, restored};
use crate::check::ledger::{Intent, Ledger};
use crate::check::read::Snapshot;
use crate::check::records::{Order, Payment, Records};
use crate::payments::advice;

const COMPARE: &str = "Run `ticketing payments drift`, and find its intent in Stripe's dashboard.";

pub(super) fn check(snapshot: &Snapshot, found: &mut Findings) {
    let Some(payments) = &snapshot.payments else { return };
    let mut by_order = BTreeMap::<OrderId, Vec<&Payment>>::new();
    for written in payments.values() {
        let payment = &written.record;
        by_order.entry(payment.order_id).or_default().push(payment);
        of_itself(payment, found);
    }
    for (order, attempts) in &by_order {
        one_live_payment(*order, attempts, found);
    }
    if let Some(orders) = &snapshot.orders {
        orders_and_payments(snapshot, orders, &by_order, found);
    }
    match &snapshot.ledger {
        Some(Ledger::Simulator(intents)) => simulator(payments, intents, found),
        Some(Ledger::Stripe(drifts)) => {
            for drift in drifts {
                let order = drift.order.map_or_else(|| "no order".to_owned(), |order| format!("order {order}"));
                let text = format!("intent {}, {order}: {}", drift.intent, drift.difference);
                found.add(Invariant::Money, text, advice(drift.difference));
            }
        }
        None => {}
    }
}

fn named(payment: &Payment) -> String {
    let Payment { id, version, order_id, status, .. } = payment;
    format!("payment {id} (version {version}, {}) for order {order_id}", name(status))
}

/// What is wrong with a payment by itself.
fn of_itself(payment: &Payment, found: &mut Findings) {
    if payment.live_order_id != (!payment.status.is_ended()).then_some(payment.order_id) {
        let text = format!("{} has a wrong liveOrderId", named(payment));
        found.add(Invariant::Money, text, "Was it edited by hand? Correct the field, because an index relies on it.");
    }
    if payment.status == PaymentStatus::Stuck {
        let text = format!("{} is stuck", named(payment));
        found.add(Invariant::Money, text, "Run `ticketing payments stuck`, and resolve it in Stripe's dashboard.");
    }
    if payment.is_in_flight() {
        found.add_unless(
            Some("Stripe or the buyer".into()),
            Invariant::Money,
            format!("{} is not settled", named(payment)),
            "",
        );
    }
}

fn one_live_payment(order: OrderId, attempts: &[&Payment], found: &mut Findings) {
    let live: Vec<_> = attempts.iter().filter(|payment| !payment.status.is_ended()).map(|payment| payment.id).collect();
    if live.len() > 1 {
        let text = format!("order {order} has {} live payments: {live:?}", live.len());
        found.add(Invariant::Money, text, "Refund or cancel all but one in Stripe's dashboard.");
    }
}

fn orders_and_payments(
    snapshot: &Snapshot,
    orders: &Records<Order>,
    by_order: &BTreeMap<OrderId, Vec<&Payment>>,
    found: &mut Findings,
) {
    for (_, payments) in by_order.iter().filter(|(order, _)| !orders.contains_key(order)) {
        for payment in payments {
            let text = format!("{} is for an order that does not exist", named(payment));
            found.add(Invariant::Money, text, restored("orders"));
        }
    }
    for written in orders.values() {
        let order = &written.record;
        let attempts = by_order.get(&order.id).map_or(&[][..], Vec::as_slice);
        if order.status == OrderStatus::Complete {
            charged_once(snapshot, order, attempts, found);
        }
        for payment in attempts {
            follows_order(snapshot, order, payment, found);
            if payment.amount != order.ticket.price {
                let text = format!(
                    "{} is of {} cents, but its price is {}",
                    named(payment),
                    payment.amount,
                    order.ticket.price
                );
                found.add(Invariant::Money, text, COMPARE);
            }
        }
    }
}

/// A complete order has one captured payment, or one that is about to be.
fn charged_once(snapshot: &Snapshot, order: &Order, attempts: &[&Payment], found: &mut Findings) {
    let count = |status| attempts.iter().filter(|payment| payment.status == status).count();
    let captured = count(PaymentStatus::Captured);
    // Those are reported by themselves, and with CAPTURE_FAILURE=keep such an order stays complete.
    if captured == 1 || count(PaymentStatus::Stuck) > 0 {
        return;
    }
    let Order { id, version, .. } = order;
    let text = format!("order {id} (version {version}) is complete, but has {captured} captured payments");
    let settling = attempts.iter().find(|payment| payment.is_in_flight()).map(|payment| named(payment));
    let events = || {
        let payments: Vec<&dyn ToString> = attempts.iter().map(|payment| &payment.id as &dyn ToString).collect();
        snapshot.awaits("payments", &[id]).or_else(|| snapshot.awaits("orders", &payments))
    };
    found.add_unless(settling.or_else(events), Invariant::Money, text, COMPARE);
}

/// Money is held or charged only for an order that is paid for with it.
fn follows_order(snapshot: &Snapshot, order: &Order, payment: &Payment, found: &mut Findings) {
    let (remedy, waits) = match (order.status, payment.status) {
        (OrderStatus::Cancelled, PaymentStatus::Authorised | PaymentStatus::Captured) => {
            (republish("orders", order.id), snapshot.awaits("payments", &[&order.id]))
        }
        (OrderStatus::Complete, PaymentStatus::Authorised) => {
            (republish("orders", order.id), snapshot.awaits("payments", &[&order.id]))
        }
        (OrderStatus::Created | OrderStatus::AwaitingPayment, PaymentStatus::Authorised) => {
            (republish("payments", payment.id), snapshot.awaits("orders", &[&payment.id]))
        }
        (OrderStatus::Created | OrderStatus::AwaitingPayment, PaymentStatus::Captured) => {
            (format!("Run `ticketing payments refund {}`.", order.id), None)
        }
        _ => return,
    };
    let text = format!("{}, which is {} (version {})", named(payment), name(order.status), order.version);
    found.add_unless(waits, Invariant::Money, text, remedy);
}

/// The simulator's intents agree with the payments that are settled.
fn simulator(payments: &Records<Payment>, intents: &BTreeMap<String, Intent>, found: &mut Findings) {
    let mut known = HashSet::new();
    for written in payments.values() {
        let payment = &written.record;
        let Some(id) = &payment.stripe_id else { continue };
        known.insert(id);
        let Some(intent) = intents.get(id) else {
            let text = format!("{} has intent {id}, which does not exist at Stripe", named(payment));
            found.add(Invariant::Money, text, COMPARE);
            continue;
        };
        compare(payment, id, intent, found);
    }
    for (id, intent) in
        intents.iter().filter(|(id, intent)| !known.contains(id) && (intent.is_held() || intent.is_charged()))
    {
        let payment = intent.payment().map_or("none", |payment| payment);
        let text = format!("intent {id} holds or charges {} cents for an unknown payment: {payment}", intent.amount());
        found.add(Invariant::Money, text, "Was the database of payments restored? Cancel or refund it at Stripe.");
    }
}

fn compare(payment: &Payment, id: &str, intent: &Intent, found: &mut Findings) {
    let is_right = match payment.status {
        PaymentStatus::Captured => intent.is_charged(),
        PaymentStatus::Authorised => intent.is_held() || intent.is_charged(),
        PaymentStatus::Voided | PaymentStatus::Declined | PaymentStatus::Refunded => {
            !intent.is_held() && !intent.is_charged()
        }
        PaymentStatus::Recorded
        | PaymentStatus::Confirming
        | PaymentStatus::RequiresAction
        | PaymentStatus::Capturing
        | PaymentStatus::Voiding
        | PaymentStatus::Refunding
        | PaymentStatus::Stuck => return,
    };
    if !is_right {
        let (held, charged) = (intent.is_held(), intent.is_charged());
        let text = format!("{}, but its intent {id} is {}", named(payment), state(held, charged));
        found.add(Invariant::Money, text, COMPARE);
    }
    if intent.amount() != payment.amount {
        let text =
            format!("{} is of {} cents, but its intent {id} of {}", named(payment), payment.amount, intent.amount());
        found.add(Invariant::Money, text, COMPARE);
    }
}

fn state(is_held: bool, is_charged: bool) -> &'static str {
    match (is_held, is_charged) {
        (_, true) => "charged",
        (true, false) => "held",
        (false, false) => "neither held nor charged",
    }
}
