//! The relay between outbox and bus.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::bus::{Bus, Durable, Publisher, Subscription, Verdict};
use common::clock::Clock;
use common::events::{Subject, TicketCreated};
use common::ids::{TicketId, UserId};
use common::money::Money;
use common::outbox::relay;
use common::store::{Collection, Database, Entity, Schema, StoreError};
use engines::sqlite::{SqliteBus, SqliteStore};
use serde::{Deserialize, Serialize};
use testing::contract::soon;
use testing::message;
use testing::{InterruptibleBus, TestEnv};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const READER: Durable = Durable { name: "orders_ticket-created", subject: Subject::TicketCreated };

/// A record of which every version is announced.
#[derive(Serialize, Deserialize)]
struct Show {
    id: TicketId,
    version: u64,
}

impl Entity for Show {
    type Id = TicketId;
    const SCHEMA: &'static Schema = &Schema { collection: "shows", ids: &[], times: &[], indexes: &[] };

    fn id(&self) -> TicketId {
        self.id
    }

    fn version(&self) -> u64 {
        self.version
    }
}

impl Show {
    fn event(&self) -> TicketCreated {
        TicketCreated {
            id: self.id,
            version: self.version,
            title: "Macbeth".into(),
            price: Money::from_cents(2000),
            user_id: UserId::generate(self.id_time()),
        }
    }

    fn id_time(&self) -> common::clock::Timestamp {
        common::ids::RecordId::created_at(self.id)
    }
}

struct System {
    env: TestEnv,
    database: Database,
    shows: Collection<Show>,
    bus: Arc<InterruptibleBus>,
    reader: Box<dyn Subscription>,
}

impl System {
    async fn new() -> Self {
        let env = TestEnv::new();
        let database = env.database(|file| SqliteStore::open(file, &[Show::SCHEMA]));
        let bus = SqliteBus::open(&env.directory().join("bus.db")).expect("opened");
        let bus = Arc::new(InterruptibleBus::new(Arc::new(bus)));
        let reader = bus.subscribe(READER).await.expect("a subscription");
        Self { env, shows: database.collection(), database, bus, reader }
    }

    fn start_relay(&self, stop: &CancellationToken) -> JoinHandle<()> {
        tokio::spawn(relay("shows", self.database.clone(), self.bus.clone(), stop.clone()))
    }

    /// Stores a new record, and returns the id of the message that announces it.
    async fn insert(&self) -> (TicketId, String) {
        let show = Show { id: TicketId::generate(self.env.clock.now()), version: 0 };
        let event = show.event();
        let id = message(&event).id;
        self.shows.insert(&show, event).await.expect("stored");
        (show.id, id)
    }

    async fn change(&self, id: TicketId) -> String {
        let mut announced = String::new();
        let change = |show: &mut Show| {
            show.version += 1;
            let event = show.event();
            announced = message(&event).id;
            Ok::<_, StoreError>(event)
        };
        self.shows.update(id, change).await.expect("stored");
        announced
    }

    /// The ids of the next messages.
    async fn arrived(&self, many: usize) -> Vec<String> {
        let mut arrived = Vec::new();
        while arrived.len() < many {
            for delivery in soon("events", self.reader.next(100)).await.expect("deliveries") {
                self.reader.settle(&delivery, Verdict::Ack).await.expect("settled");
                arrived.push(delivery.message.id);
            }
        }
        arrived
    }

    async fn outbox_is_empty(&self) {
        soon("an empty outbox", async {
            while !self.database.store().unpublished(1).await.expect("published").is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_crash_left_in_the_outbox_is_published_at_the_start() {
    let system = System::new().await;
    let mut stored = Vec::new();
    for _ in 0..600 {
        stored.push(system.insert().await.1);
    }
    // Nobody tells this one that there is something.
    let database = Database::new(system.database.store().clone(), Arc::new(system.env.clock.clone()));
    tokio::spawn(relay("shows", database, system.bus.clone(), CancellationToken::new()));
    assert_eq!(system.arrived(600).await, stored);
    system.outbox_is_empty().await;
}

#[tokio::test]
async fn a_write_wakes_it() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    let began = Instant::now();
    for _ in 0..20 {
        let (_, stored) = system.insert().await;
        assert_eq!(system.arrived(1).await, [stored]);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "by sweeps alone it would take a hundred");
}

#[tokio::test]
async fn what_happens_while_the_bus_is_down_arrives_when_it_is_back() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    system.bus.interrupt();
    let (show, mut stored) = (system.insert().await, Vec::new());
    stored.push(show.1);
    for _ in 0..10 {
        stored.push(system.change(show.0).await);
    }
    soon("two attempts", system.bus.refused(2)).await;
    assert_eq!(system.database.store().unpublished(100).await.unwrap().len(), 11);
    system.bus.resume();
    assert_eq!(system.arrived(11).await, stored);
    system.outbox_is_empty().await;
}

#[tokio::test]
async fn what_a_crash_made_it_send_twice_is_delivered_once() {
    let system = System::new().await;
    let (_, first) = system.insert().await;
    // As the relay leaves it when it is cut off between publishing and clearing.
    let events = system.database.store().unpublished(1).await.unwrap();
    system.bus.publish(&[events[0].message.clone()]).await.unwrap();

    system.start_relay(&CancellationToken::new());
    system.outbox_is_empty().await;
    let (_, second) = system.insert().await;
    assert_eq!(system.arrived(2).await, [first, second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_events_of_each_record_are_published_in_their_order() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    let mut shows = Vec::new();
    for _ in 0..10 {
        shows.push(system.insert().await);
    }
    let changes = shows.iter().map(async |(show, first)| {
        let mut messages = vec![first.clone()];
        for _ in 0..50 {
            messages.push(system.change(*show).await);
        }
        messages
    });
    let expected = futures_util::future::join_all(changes).await;
    let arrived = system.arrived(510).await;
    for (messages, (show, _)) in expected.into_iter().zip(&shows) {
        let of_this = arrived.iter().filter(|id| id.contains(&show.to_string())).cloned();
        assert_eq!(of_this.collect::<Vec<_>>(), messages);
    }
}

#[tokio::test]
async fn told_to_stop_it_carries_what_is_left() {
    let system = System::new().await;
    let (_, stored) = system.insert().await;
    let stop = CancellationToken::new();
    stop.cancel();
    soon("its end", system.start_relay(&stop)).await.unwrap();
    assert_eq!(system.arrived(1).await, [stored]);
    system.outbox_is_empty().await;
}
