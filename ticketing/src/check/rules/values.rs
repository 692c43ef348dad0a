//! Prices within the allowed range.

use std::ops::RangeInclusive;

use crate::check::finding::{Findings, Invariant};
use crate::check::read::Snapshot;

/// In cents. Documents with fractions are not valid at all.
const PRICES: RangeInclusive<u64> = 50..=99_999_999;

pub(super) fn check(snapshot: &Snapshot, found: &mut Findings) {
    let mut price = |what: String, cents: u64| {
        if !PRICES.contains(&cents) {
            let text = format!("{what} is {cents} cents, not 50 to 99999999");
            found.add(Invariant::Cents, text, "Was it edited by hand? Correct it.");
        }
    };
    for (id, ticket) in snapshot.tickets.iter().flatten() {
        price(format!("the price of ticket {id}"), ticket.record.price);
    }
    for (id, order) in snapshot.orders.iter().flatten() {
        price(format!("the price of order {id}"), order.record.ticket.price);
    }
    for (id, payment) in snapshot.payments.iter().flatten() {
        price(format!("the amount of payment {id}"), payment.record.amount);
    }
}
