//! `kill -9` at random moments under load: nothing that was answered is lost, and all services agree afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;

use crate::support::load::{Record, client, nothing_is_missing, seed};
use crate::support::{Order, Setup, wait_until};

const KILLS: usize = 12;
const USERS: usize = 8;
const CLIENTS_PER_USER: usize = 2;

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
