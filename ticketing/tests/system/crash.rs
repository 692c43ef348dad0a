//! `kill -9` at random moments under load: nothing confirmed is lost, and the services agree afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use testing::system::Order;
use testing::system::load::{Log, run_client, seed};
use testing::wait_until;
use tokio::task::JoinSet;

use crate::binary::setup;
use crate::databases::wait_until_consistent;

const KILLS: usize = 12;
const USERS: usize = 8;
const CLIENTS_PER_USER: usize = 2;

#[tokio::test]
async fn a_killed_system_loses_no_answered_request() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    // So short that orders expire while others are placed, and while the system is down.
    let mut system = setup().set("ORDER_EXPIRATION_SECONDS", "4").set("RUST_LOG", "warn").start().await;
    let mut users = system.sign_up_many("client", USERS).await;
    let log = Arc::new(Mutex::new(Log::default()));

    for _ in 0..KILLS {
        let replies = log.lock().unwrap().replies;
        let mut clients = JoinSet::new();
        for index in (0..USERS).flat_map(|user| [user; CLIENTS_PER_USER]) {
            let random = StdRng::seed_from_u64(random.random());
            clients.spawn(run_client(users[index].clone(), index, log.clone(), random));
        }
        wait_until("there is load", async || (log.lock().unwrap().replies > replies + 50).then_some(())).await;
        tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
        system.kill();
        clients.join_all().await;
        if random.random_bool(0.3) {
            // Kills it during recovery, too.
            system.start_and_kill_after(Duration::from_millis(random.random_range(5..150))).await;
        }
        system.restart().await;
        users = users.iter().map(|user| system.reconnect(user)).collect();
    }

    let log = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(log.unexpected, None);
    assert!(!log.orders.is_empty() && !log.payments.is_empty() && !log.cancelled.is_empty());
    wait_until_consistent(&system).await;
    log.assert_nothing_is_lost(&users).await;

    let decided = async || {
        let orders = join_all(users.iter().map(|user| user.list_all::<Order>("/orders?limit=200"))).await;
        (!orders.iter().flatten().any(|order| order.status == "created")).then_some(())
    };
    wait_until("unpaid orders have expired", decided).await;
    wait_until_consistent(&system).await;
    log.assert_nothing_is_lost(&users).await;
    let output = system.output();
    assert!(!output.contains("panicked"), "{output}");
}
