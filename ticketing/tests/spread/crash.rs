//! `kill -9` to services and servers at random moments under load: nothing confirmed is lost, and the services agree
//! afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use testing::system::load::{Log, run_client, seed};
use testing::wait_until;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::spread::Spread;

const CLIENTS: usize = 6;

/// What to kill.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Service(usize),
    Mongo,
    Nats,
    Redis,
}

#[tokio::test]
async fn killed_services_and_servers_lose_no_answered_request() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    // So short that orders expire while others are placed, and while a victim is down.
    let Some(mut system) = Spread::start(Duration::from_secs(4)).await else { return };
    let mut users = Vec::new();
    for n in 0..CLIENTS {
        users.push(system.sign_up(&format!("client{n}")).await);
    }
    let log = Arc::new(Mutex::new(Log { retry: true, ..Log::default() }));
    let mut clients = JoinSet::new();
    for (index, user) in users.iter().enumerate() {
        let random = StdRng::seed_from_u64(random.random());
        clients.spawn(run_client(user.clone(), index, log.clone(), random));
    }

    let services = (0..system.services.len()).map(Victim::Service);
    let mut victims: Vec<_> = services.chain([Victim::Mongo, Victim::Nats, Victim::Redis]).collect();
    victims.shuffle(&mut random);
    for victim in victims {
        let replies = log.lock().unwrap().replies;
        wait_until("there is load", async || (log.lock().unwrap().replies > replies + 50).then_some(())).await;
        sleep(Duration::from_millis(random.random_range(0..300))).await;
        let downtime = Duration::from_millis(random.random_range(0..1000));
        let server = match victim {
            Victim::Service(nth) => {
                system.kill(nth);
                sleep(downtime).await;
                system.restart_all().await;
                continue;
            }
            Victim::Mongo => &mut system.engines.mongo.server,
            Victim::Nats => &mut system.engines.nats.server,
            Victim::Redis => &mut system.engines.redis.server,
        };
        server.kill();
        sleep(downtime).await;
        server.restart().await;
    }
    log.lock().unwrap().stop = true;
    clients.join_all().await;

    let log = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(log.unexpected, None);
    assert!(!log.orders.is_empty() && !log.payments.is_empty() && !log.cancelled.is_empty());
    system.wait_until_consistent(&users, log.tickets.keys().cloned()).await;
    log.assert_nothing_is_lost(&users).await;
}
