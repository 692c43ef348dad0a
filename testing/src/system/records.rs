//! Checks the services' records against each other.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

/// The records of all services.
pub struct Records {
    tickets: HashMap<String, TicketRecord>,
    orders: HashMap<String, OrderRecord>,
    payments: Vec<PaymentRecord>,
    pending: Vec<String>,
}

/// A record of the tickets service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TicketRecord {
    /// The ticket's id.
    pub id: String,
    order_id: Option<String>,
}

/// A record of the orders service.
#[derive(Debug, Deserialize)]
pub struct OrderRecord {
    /// The order's id.
    pub id: String,
    /// The order's status.
    pub status: String,
    /// What was ordered.
    pub ticket: OrderedTicketRecord,
}

/// The ticket in a record of the orders service.
#[derive(Debug, Deserialize)]
pub struct OrderedTicketRecord {
    /// The ticket's id.
    pub id: String,
}

/// A record of the payments service.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentRecord {
    id: String,
    order_id: String,
    status: String,
}

impl Records {
    /// Records to check. `pending` describes work that the services have not finished.
    pub fn new(
        tickets: Vec<TicketRecord>,
        orders: Vec<OrderRecord>,
        payments: Vec<PaymentRecord>,
        pending: Vec<String>,
    ) -> Self {
        Self {
            tickets: tickets.into_iter().map(|ticket| (ticket.id.clone(), ticket)).collect(),
            orders: orders.into_iter().map(|order| (order.id.clone(), order)).collect(),
            payments,
            pending,
        }
    }

    /// Describes everything that is contradictory or unfinished.
    pub fn inconsistencies(&self) -> Vec<String> {
        let mut found = self.pending.clone();
        found.extend(self.double_bookings());
        found.extend(self.wrong_reservations());
        found.extend(self.missing_reservations());
        found.extend(self.wrong_payments());
        found.extend(self.wrong_captures());
        found
    }

    /// Describes tickets with two live orders. Unlike other inconsistencies this is wrong at any moment.
    pub fn double_bookings(&self) -> Vec<String> {
        let mut reserved = HashSet::new();
        let double = self.orders.values().filter(|order| order.is_live() && !reserved.insert(&order.ticket.id));
        double.map(|order| format!("ticket {} has two live orders, one is {}", order.ticket.id, order.id)).collect()
    }

    /// Tickets reserved by an order that is not live, or is for another ticket.
    fn wrong_reservations(&self) -> impl Iterator<Item = String> {
        self.tickets.values().filter_map(|ticket| {
            let order = self.orders.get(ticket.order_id.as_ref()?);
            let is_right = order.is_some_and(|order| order.is_live() && order.ticket.id == ticket.id);
            (!is_right).then(|| format!("{ticket:?} is reserved by {order:?}"))
        })
    }

    /// Live orders that do not reserve their ticket.
    fn missing_reservations(&self) -> impl Iterator<Item = String> {
        self.orders.values().filter(|order| order.is_live()).filter_map(|order| {
            let ticket = self.tickets.get(&order.ticket.id);
            let reserved_by = ticket.and_then(|ticket| ticket.order_id.as_ref());
            (reserved_by != Some(&order.id)).then(|| format!("{order:?} does not reserve its ticket {ticket:?}"))
        })
    }

    /// Payments that are not settled, or took money for an order that is not complete.
    fn wrong_payments(&self) -> impl Iterator<Item = String> {
        self.payments.iter().filter_map(|payment| {
            let PaymentRecord { id, status, order_id } = payment;
            let order = self.orders.get(order_id);
            let is_right = match status.as_str() {
                "captured" => order.is_some_and(|order| order.status == "complete"),
                "declined" | "voided" | "refunded" => true,
                _ => false,
            };
            (!is_right).then(|| format!("payment {id} is {status}, for {order:?}"))
        })
    }

    /// Complete orders without exactly one captured payment.
    fn wrong_captures(&self) -> impl Iterator<Item = String> {
        let mut captures: HashMap<&str, u32> = HashMap::new();
        for payment in self.payments.iter().filter(|payment| payment.status == "captured") {
            *captures.entry(&payment.order_id).or_default() += 1;
        }
        let complete = self.orders.values().filter(|order| order.status == "complete");
        complete.filter_map(move |order| {
            let count = captures.get(order.id.as_str()).copied().unwrap_or_default();
            (count != 1).then(|| format!("{order:?} has {count} captured payments"))
        })
    }
}

impl OrderRecord {
    fn is_live(&self) -> bool {
        match self.status.as_str() {
            "created" | "awaiting:payment" | "complete" => true,
            "cancelled" => false,
            unknown => panic!("unknown order status {unknown}"),
        }
    }
}
