//! `kill -9` at random moments under load: nothing that was answered is lost, and all services agree afterwards.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::support::{Order, Payment, Setup, Ticket, User, wait_until};

const KILLS: usize = 12;
const USERS: usize = 8;
const CLIENTS_PER_USER: usize = 2;
/// Which tickets clients fight for.
const LATEST: usize = 12;

/// What clients were told with a 2xx, and what puzzled them.
#[derive(Default)]
struct Record {
    /// How many answers there were.
    answered: u32,
    tickets: HashMap<String, Ticket>,
    /// The latest tickets, for everybody to order.
    latest: Vec<String>,
    /// By the index of their buyer.
    orders: HashMap<String, (usize, Order)>,
    paid: Vec<(String, PaidAnswer)>,
    cancelled: HashSet<String>,
    surprise: Option<String>,
}

#[derive(Clone, Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct PaidAnswer {
    id: String,
    order_id: String,
}

#[tokio::test]
async fn killed_again_and_again_it_forgets_nothing_and_agrees_with_itself() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    // Short enough that reservations end while others are made, and while nothing runs.
    let mut system = Setup::default().set("ORDER_EXPIRATION_SECONDS", "4").set("RUST_LOG", "warn").start().await;
    let mut users = system.sign_up_many("client", USERS).await;
    let record = Arc::new(Mutex::new(Record::default()));

    for _ in 0..KILLS {
        let answered = record.lock().unwrap().answered;
        let mut clients = JoinSet::new();
        for index in (0..USERS).flat_map(|user| [user; CLIENTS_PER_USER]) {
            let random = StdRng::seed_from_u64(random.random());
            clients.spawn(client(users[index].clone(), index, record.clone(), random));
        }
        wait_until("there is load", async || (record.lock().unwrap().answered > answered + 50).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        system.kill();
        clients.join_all().await;
        if random.random_bool(0.3) {
            // In the middle of picking up the pieces, too.
            system.start_and_kill_after(Duration::from_millis(random.random_range(5..150))).await;
        }
        system.restart().await;
        users = users.iter().map(|user| system.again(user)).collect();
    }

    let record = std::mem::take(&mut *record.lock().unwrap());
    assert_eq!(record.surprise, None);
    assert!(!record.orders.is_empty() && !record.paid.is_empty() && !record.cancelled.is_empty());
    system.agrees().await;
    nothing_is_missing(&users, &record).await;

    // Whatever is unpaid comes to its end, and then all agree again.
    let undecided = async || {
        let orders = join_all(users.iter().map(|user| user.all::<Order>("/orders?limit=200"))).await;
        (!orders.iter().flatten().any(|order| order.status == "created")).then_some(())
    };
    wait_until("every reservation has come to its end", undecided).await;
    system.agrees().await;
    nothing_is_missing(&users, &record).await;
    let output = system.output();
    assert!(!output.contains("panicked"), "{output}");
}

/// A new seed, or the one to repeat.
#[expect(clippy::print_stderr, clippy::disallowed_methods, reason = "a failure can be tried again with its seed")]
fn seed() -> u64 {
    let seed = std::env::var("CRASH_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    eprintln!("to try the same again: CRASH_SEED={seed}");
    seed
}

/// Lists, orders, pays and cancels until the system dies.
async fn client(user: User, index: usize, record: Arc<Mutex<Record>>, mut random: StdRng) {
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
        let Some(answer) = call.attempt().await else { return };
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
async fn nothing_is_missing(users: &[User], record: &Record) {
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
