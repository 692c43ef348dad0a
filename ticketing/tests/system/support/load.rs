//! Clients that list, order, pay and cancel at random, and a record of what they were told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use super::{Order, Payment, Ticket, User};

/// Which tickets clients fight for.
const LATEST: usize = 12;

/// What clients were told with a 2xx, and what puzzled them.
#[derive(Default)]
pub(crate) struct Record {
    /// How many answers there were.
    pub(crate) answered: u32,
    pub(crate) tickets: HashMap<String, Ticket>,
    /// The latest tickets, for everybody to order.
    pub(crate) latest: Vec<String>,
    /// By the index of their buyer.
    pub(crate) orders: HashMap<String, (usize, Order)>,
    pub(crate) paid: Vec<(String, PaidAnswer)>,
    pub(crate) cancelled: HashSet<String>,
    pub(crate) surprise: Option<String>,
    /// Whether clients go on when something is out of reach or says so with a 503.
    pub(crate) goes_on: bool,
    /// Whether clients are to end.
    pub(crate) ended: bool,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaidAnswer {
    pub(crate) id: String,
    pub(crate) order_id: String,
}

/// A new seed, or the one to repeat.
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "a failure can be tried again with its seed")]
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("CRASH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("to try the same again: CRASH_SEED={seed}");
    seed
}

/// Lists, orders, pays and cancels until the system dies or the record says that this is the end.
pub(crate) async fn client(user: User, index: usize, record: Arc<Mutex<Record>>, mut random: StdRng) {
    let mut own: Vec<String> = Vec::new();
    loop {
        let kind = random.random_range(0..100);
        let ticket = record.lock().unwrap().latest.choose(&mut random).cloned();
        let order = own.choose(&mut random).cloned();
        let (call, what) = match (kind, ticket, order) {
            (30..65, Some(ticket), _) => (user.ordering(&ticket), Asked::Order),
            (65..85, _, Some(order)) => (user.paying(&order, "tok_visa"), Asked::Pay),
            (85..90, _, Some(order)) => (user.paying(&order, "tok_chargeDeclined"), Asked::Pay),
            (90.., _, Some(order)) => (user.cancelling(&order), Asked::Cancel(order)),
            _ => (user.listing("Concert", "19.99"), Asked::List),
        };
        let answer = call.attempt().await;
        let (goes_on, ended) = {
            let record = record.lock().unwrap();
            (record.goes_on, record.ended)
        };
        let Some(answer) = answer.filter(|answer| !goes_on || answer.status != 503) else {
            if !goes_on || ended {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let mut record = record.lock().unwrap();
        record.answered += 1;
        match (what, answer.status) {
            (Asked::List, 201) => {
                let ticket: Ticket = answer.json();
                record.latest.insert(0, ticket.id.clone());
                record.latest.truncate(LATEST);
                record.tickets.insert(ticket.id.clone(), ticket);
            }
            (Asked::Order, 201) => {
                let order: Order = answer.json();
                own.push(order.id.clone());
                record.orders.insert(order.id.clone(), (index, order));
            }
            (Asked::Pay, 201) => record.paid.push((user.id.clone(), answer.json())),
            (Asked::Cancel(order), 204) => {
                record.cancelled.insert(order);
            }
            // 404: on a busy machine the news of it may be late.
            (Asked::Order, 400 | 404) | (Asked::Cancel(_), 400) | (Asked::Pay, 400 | 402 | 404) => {}
            _ => record.surprise = Some(format!("{answer:?}")),
        }
        if ended {
            return;
        }
    }
}

/// What a client asked for.
enum Asked {
    List,
    Order,
    Pay,
    Cancel(String),
}

/// Everything that was answered with 2xx is still there, and as it was answered.
pub(crate) async fn nothing_is_missing(users: &[User], record: &Record) {
    for told in record.tickets.values() {
        let found = users[0].find_ticket(&told.id).await;
        assert_eq!(
            (found.title, found.price, found.user_id),
            (told.title.clone(), told.price.clone(), told.user_id.clone())
        );
    }
    for (index, user) in users.iter().enumerate() {
        assert_eq!(user.sign_in().await.id, user.id);
        let found = user.all::<Order>("/orders?limit=200").await;
        let found: HashMap<&str, &Order> = found.iter().map(|order| (order.id.as_str(), order)).collect();
        for (_, told) in record.orders.values().filter(|(buyer, _)| *buyer == index) {
            let found = found.get(told.id.as_str()).unwrap_or_else(|| panic!("{told:?} is missing"));
            assert_eq!((&found.ticket, found.expires_at), (&told.ticket, told.expires_at));
            if record.cancelled.contains(&told.id) {
                assert_eq!(found.status, "cancelled", "{told:?}");
            }
        }
        for (_, told) in record.paid.iter().filter(|(payer, _)| *payer == user.id) {
            let payments = user.payments(&told.order_id).await;
            let payment = payments.iter().find(|payment| payment.id == told.id);
            let payment: &Payment = payment.unwrap_or_else(|| panic!("{told:?} is missing"));
            match found[told.order_id.as_str()].status.as_str() {
                "complete" => assert_eq!(payment.status, "captured", "{told:?}"),
                // Cancelled while the payment was on its way.
                "cancelled" => assert!(["voided", "refunded"].contains(&payment.status.as_str()), "{payment:?}"),
                undecided => panic!("{told:?} was paid for, yet its order is {undecided}"),
            }
        }
    }
}
