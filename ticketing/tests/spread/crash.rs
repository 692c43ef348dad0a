//! `kill -9` to services and servers at random moments under load: nothing that was answered is lost, and all services
//! agree afterwards.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::spread::Spread;
use crate::support::load::{Record, client, nothing_is_missing, seed};
use crate::support::wait_until;

const CLIENTS: usize = 6;

/// What is killed.
#[derive(Clone, Copy, Debug)]
enum Victim {
    Service(usize),
    Mongo,
    Nats,
    Redis,
}

#[tokio::test]
async fn services_and_servers_killed_one_after_another_forget_nothing_and_agree() {
    let seed = seed();
    let mut random = StdRng::seed_from_u64(seed);
    // Short enough that reservations end while others are made, and while this and that does not run.
    let Some(mut system) = Spread::start(Duration::from_secs(4)).await else { return };
    let mut users = Vec::new();
    for n in 0..CLIENTS {
        users.push(system.sign_up(&format!("client{n}")).await);
    }
    let record = Arc::new(Mutex::new(Record { goes_on: true, ..Record::default() }));
    let mut clients = JoinSet::new();
    for (index, user) in users.iter().enumerate() {
        let random = StdRng::seed_from_u64(random.random());
        clients.spawn(client(user.clone(), index, record.clone(), random));
    }

    let services = (0..system.services.len()).map(Victim::Service);
    let mut victims: Vec<_> = services.chain([Victim::Mongo, Victim::Nats, Victim::Redis]).collect();
    victims.shuffle(&mut random);
    for victim in victims {
        let answered = record.lock().unwrap().answered;
        wait_until("there is load", async || (record.lock().unwrap().answered > answered + 50).then_some(())).await;
        sleep(Duration::from_millis(random.random_range(0..300))).await;
        let away = Duration::from_millis(random.random_range(0..1000));
        let server = match victim {
            Victim::Service(nth) => {
                system.kill(nth);
                sleep(away).await;
                system.restart_all().await;
                continue;
            }
            Victim::Mongo => &mut system.engines.mongo.server,
            Victim::Nats => &mut system.engines.nats.server,
            Victim::Redis => &mut system.engines.redis.server,
        };
        server.kill();
        sleep(away).await;
        server.restart().await;
    }
    record.lock().unwrap().ended = true;
    clients.join_all().await;

    let record = std::mem::take(&mut *record.lock().unwrap());
    assert_eq!(record.surprise, None);
    assert!(!record.orders.is_empty() && !record.paid.is_empty() && !record.cancelled.is_empty());
    system.agrees(&users, record.tickets.keys().cloned()).await;
    nothing_is_missing(&users, &record).await;
}
