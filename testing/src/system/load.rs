//! Clients that create, order, pay for and cancel at random, and a log of what was answered.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde::Deserialize;
use tokio::time::sleep;

use super::reply::Reply;
use super::user::User;
use super::views::{Order, Ticket};

/// The number of tickets that clients compete for.
const CONTESTED: usize = 12;

const RETRY_PAUSE: Duration = Duration::from_millis(20);

/// What the system has confirmed with a 2xx, and any reply that the clients did not expect.
#[derive(Default)]
pub struct Log {
    /// The number of replies.
    pub replies: u32,
    /// Tickets, by id.
    pub tickets: HashMap<String, Ticket>,
    /// The newest tickets, for all clients to order.
    pub contested: Vec<String>,
    /// Orders by id, each with the index of its buyer.
    pub orders: HashMap<String, (usize, Order)>,
    /// Payments, each with the id of its payer.
    pub payments: Vec<(String, PaymentReply)>,
    /// Cancelled orders.
    pub cancelled: HashSet<String>,
    /// A reply that no client should get.
    pub unexpected: Option<String>,
    /// Whether clients retry if there is no reply or a 503. Otherwise they stop.
    pub retry: bool,
    /// Tells the clients to stop.
    pub stop: bool,
}

/// The reply to a payment.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PaymentReply {
    /// The payment's id.
    pub id: String,
    /// What was paid for.
    pub order_id: String,
}

/// What a client asks for.
enum Action {
    CreateTicket,
    Order,
    Pay,
    Cancel(String),
}

/// A random seed, or the one in `CRASH_SEED`, to repeat a failed run.
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "a failed run can be repeated with its seed")]
pub fn seed() -> u64 {
    let seed = std::env::var("CRASH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("repeat this run with CRASH_SEED={seed}");
    seed
}

/// Sends random requests as a user until the system dies or the log says to stop.
pub async fn run_client(user: User, index: usize, log: Arc<Mutex<Log>>, mut random: StdRng) {
    let mut own_orders: Vec<String> = Vec::new();
    loop {
        let dice = random.random_range(0..100);
        let ticket = log.lock().unwrap().contested.choose(&mut random).cloned();
        let order = own_orders.choose(&mut random).cloned();
        let (call, action) = match (dice, ticket, order) {
            (30..65, Some(ticket), _) => (user.post_order(&ticket), Action::Order),
            (65..85, _, Some(order)) => (user.post_payment(&order, "tok_visa"), Action::Pay),
            (85..90, _, Some(order)) => (user.post_payment(&order, "tok_chargeDeclined"), Action::Pay),
            (90.., _, Some(order)) => (user.delete_order(&order), Action::Cancel(order)),
            _ => (user.post_ticket("Concert", "19.99"), Action::CreateTicket),
        };
        let reply = call.attempt().await;
        let (retry, stop) = {
            let log = log.lock().unwrap();
            (log.retry, log.stop)
        };
        let Some(reply) = reply.filter(|reply| !retry || reply.status != 503) else {
            if !retry || stop {
                return;
            }
            sleep(RETRY_PAUSE).await;
            continue;
        };
        own_orders.extend(log.lock().unwrap().add(&user, index, action, &reply));
        if stop {
            return;
        }
    }
}

impl Log {
    /// Adds a reply. Returns the id of a new order.
    fn add(&mut self, user: &User, index: usize, action: Action, reply: &Reply) -> Option<String> {
        self.replies += 1;
        match (action, reply.status) {
            (Action::CreateTicket, 201) => {
                let ticket: Ticket = reply.json();
                self.contested.insert(0, ticket.id.clone());
                self.contested.truncate(CONTESTED);
                self.tickets.insert(ticket.id.clone(), ticket);
            }
            (Action::Order, 201) => {
                let order: Order = reply.json();
                let id = order.id.clone();
                self.orders.insert(id.clone(), (index, order));
                return Some(id);
            }
            (Action::Pay, 201) => self.payments.push((user.id.clone(), reply.json())),
            (Action::Cancel(order), 204) => {
                self.cancelled.insert(order);
            }
            // 404: on a busy machine the event may arrive late.
            (Action::Order, 400 | 404) | (Action::Cancel(_), 400) | (Action::Pay, 400 | 402 | 404) => {}
            _ => self.unexpected = Some(format!("{reply:?}")),
        }
        None
    }

    /// Checks that everything confirmed is still there, unchanged.
    pub async fn assert_nothing_is_lost(&self, users: &[User]) {
        for confirmed in self.tickets.values() {
            let found = users[0].find_ticket(&confirmed.id).await;
            let facts = |ticket: &Ticket| (ticket.title.clone(), ticket.price.clone(), ticket.user_id.clone());
            assert_eq!(facts(&found), facts(confirmed));
        }
        for (index, user) in users.iter().enumerate() {
            assert_eq!(user.sign_in().await.id, user.id);
            let orders = user.list_all::<Order>("/orders?limit=200").await;
            let orders: HashMap<&str, &Order> = orders.iter().map(|order| (order.id.as_str(), order)).collect();
            self.assert_orders_are_kept(index, &orders);
            self.assert_payments_are_kept(user, &orders).await;
        }
    }

    fn assert_orders_are_kept(&self, buyer: usize, found: &HashMap<&str, &Order>) {
        for (_, confirmed) in self.orders.values().filter(|(index, _)| *index == buyer) {
            let found = found.get(confirmed.id.as_str()).unwrap_or_else(|| panic!("{confirmed:?} is missing"));
            assert_eq!((&found.ticket, found.expires_at), (&confirmed.ticket, confirmed.expires_at));
            if self.cancelled.contains(&confirmed.id) {
                assert_eq!(found.status, "cancelled", "{confirmed:?}");
            }
        }
    }

    async fn assert_payments_are_kept(&self, user: &User, orders: &HashMap<&str, &Order>) {
        for (_, confirmed) in self.payments.iter().filter(|(payer, _)| *payer == user.id) {
            let payments = user.list_payments(&confirmed.order_id).await;
            let payment = payments.iter().find(|payment| payment.id == confirmed.id);
            let payment = payment.unwrap_or_else(|| panic!("{confirmed:?} is missing"));
            match orders[confirmed.order_id.as_str()].status.as_str() {
                "complete" => assert_eq!(payment.status, "captured", "{confirmed:?}"),
                // Cancelled while the payment was in flight.
                "cancelled" => assert!(["voided", "refunded"].contains(&payment.status.as_str()), "{payment:?}"),
                status => panic!("{confirmed:?} was confirmed, but its order is {status}"),
            }
        }
    }
}
