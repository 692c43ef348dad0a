//! A look into the system's databases: whether what its services have written down agrees.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// What the services have on record.
pub(crate) struct Books {
    tickets: HashMap<String, BookedTicket>,
    orders: HashMap<String, BookedOrder>,
    payments: Vec<BookedPayment>,
    /// What is under way between the services, in words.
    under_way: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BookedTicket {
    pub(crate) id: String,
    order_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct BookedOrder {
    pub(crate) id: String,
    pub(crate) status: String,
    pub(crate) ticket: TicketOfOrder,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TicketOfOrder {
    pub(crate) id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BookedPayment {
    id: String,
    order_id: String,
    status: String,
}

impl Books {
    /// Reads the databases in a directory, whether or not the system runs.
    pub(crate) fn read(directory: &Path) -> Self {
        let open = |file: &str| open(&directory.join(file));
        let tickets: Vec<BookedTicket> = documents(&open("tickets.db"), "tickets");
        let orders: Vec<BookedOrder> = documents(&open("orders.db"), "orders");
        let payments = documents(&open("payments.db"), "payments");
        let mut under_way = Vec::new();
        for service in ["tickets", "orders", "payments"] {
            let unpublished = texts(&open(&format!("{service}.db")), "SELECT message_id FROM outbox");
            under_way.extend(unpublished.into_iter().map(|id| format!("{id} in the outbox of {service}")));
        }
        let events = open("events.db");
        // A durable has seen all that its name ends in, up to its position, but for what it set down.
        let unread = "SELECT durables.name || ' has not read ' || message_id FROM durables JOIN events
                      ON subject = replace(substr(name, instr(name, '_') + 1), '-', ':') AND seq > position";
        let unsettled = "SELECT durable || ' retries ' || message_id FROM unsettled JOIN events USING (seq)";
        let dead =
            "SELECT durable || ' rejected ' || message_id || ': ' || reason FROM dead_letters JOIN events USING (seq)";
        under_way.extend([unread, unsettled, dead].into_iter().flat_map(|sql| texts(&events, sql)));
        Self::of(tickets, orders, payments, under_way)
    }

    /// What the services say, and in words what is under way between them.
    pub(crate) fn of(
        tickets: Vec<BookedTicket>,
        orders: Vec<BookedOrder>,
        payments: Vec<BookedPayment>,
        under_way: Vec<String>,
    ) -> Self {
        Self {
            tickets: tickets.into_iter().map(|ticket| (ticket.id.clone(), ticket)).collect(),
            orders: orders.into_iter().map(|order| (order.id.clone(), order)).collect(),
            payments,
            under_way,
        }
    }

    /// Everything in which the services disagree or that they have not finished, in words.
    pub(crate) fn disagreements(&self) -> Vec<String> {
        let mut found = self.under_way.clone();
        found.extend(self.double_bookings());
        for ticket in self.tickets.values() {
            if let Some(order) = &ticket.order_id
                && !self.orders.get(order).is_some_and(|order| order.is_live() && order.ticket.id == ticket.id)
            {
                found.push(format!("{ticket:?} is held by {:?}", self.orders.get(order)));
            }
        }
        for order in self.orders.values().filter(|order| order.is_live()) {
            let ticket = self.tickets.get(&order.ticket.id);
            if ticket.and_then(|ticket| ticket.order_id.as_ref()) != Some(&order.id) {
                found.push(format!("{order:?} does not hold its ticket: {ticket:?}"));
            }
        }
        let mut captured: HashMap<&str, u32> = HashMap::new();
        for payment in &self.payments {
            let order = self.orders.get(&payment.order_id);
            match payment.status.as_str() {
                "captured" => *captured.entry(&payment.order_id).or_default() += 1,
                "declined" | "voided" | "refunded" => continue,
                _ => found.push(format!("payment {} of {order:?} is {}", payment.id, payment.status)),
            }
            if order.is_none_or(|order| order.status != "complete") {
                found.push(format!("payment {} is {}, for {order:?}", payment.id, payment.status));
            }
        }
        for order in self.orders.values().filter(|order| order.status == "complete") {
            let count = captured.get(order.id.as_str()).copied().unwrap_or_default();
            if count != 1 {
                found.push(format!("{order:?} has {count} captured payments"));
            }
        }
        found
    }

    /// Tickets with two live orders: wrong at any moment, whatever is under way.
    pub(crate) fn double_bookings(&self) -> Vec<String> {
        let mut held = HashSet::new();
        let twice = self.orders.values().filter(|order| order.is_live() && !held.insert(&order.ticket.id));
        twice.map(|order| format!("ticket {} has two live orders, {} one of them", order.ticket.id, order.id)).collect()
    }
}

impl BookedOrder {
    fn is_live(&self) -> bool {
        match self.status.as_str() {
            "created" | "awaiting:payment" | "complete" => true,
            "cancelled" => false,
            unknown => panic!("what is {unknown}?"),
        }
    }
}

/// Opens a database to read it.
pub(crate) fn open(path: &Path) -> Connection {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    connection.busy_timeout(super::LIMIT).unwrap();
    connection
}

/// The first column of what a query finds.
pub(crate) fn texts(database: &Connection, sql: &str) -> Vec<String> {
    let mut query = database.prepare(sql).unwrap();
    query.query_map([], |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap()
}

fn documents<T: DeserializeOwned>(database: &Connection, collection: &str) -> Vec<T> {
    let bodies = texts(database, &format!("SELECT body FROM {collection}"));
    bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect()
}
