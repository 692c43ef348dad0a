//! The relay of `common` from outbox to bus, on embedded engines.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::bus::{Bus, Durable, Publisher, Subscription, Verdict};
use common::clock::Clock;
use common::events::{Subject, TicketCreated};
use common::ids::{RecordId, TicketId};
use common::outbox::relay;
use common::store::{Collection, Database, Entity, Schema, StoreError};
use engines::sqlite::{SqliteBus, SqliteStore};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use testing::builders::ticket_created;
use testing::{InterruptibleBus, TestEnv, message, soon, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const READER: Durable = Durable { name: "orders_ticket-created", subject: Subject::TicketCreated };

/// A record that publishes an event with every version.
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
        TicketCreated { id: self.id, version: self.version, ..ticket_created(self.id.created_at()) }
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

    /// Inserts a record and returns its id and the id of its message.
    async fn insert(&self) -> (TicketId, String) {
        let show = Show { id: TicketId::generate(self.env.clock.now()), version: 0 };
        let event = show.event();
        let id = message(&event).id;
        self.shows.insert(&show, event).await.expect("stored");
        (show.id, id)
    }

    /// Updates a record and returns the id of its message.
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

    /// Waits for the next messages and returns their ids.
    async fn arrived(&self, count: usize) -> Vec<String> {
        let mut arrived = Vec::new();
        while arrived.len() < count {
            for delivery in soon("events", self.reader.next(100)).await.expect("deliveries") {
                self.reader.settle(&delivery, Verdict::Ack).await.expect("settled");
                arrived.push(delivery.message.id);
            }
        }
        arrived
    }

    async fn wait_for_empty_outbox(&self) {
        let store = self.database.store();
        let is_empty = async || store.unpublished(1).await.expect("the outbox").is_empty().then_some(());
        wait_until("an empty outbox", is_empty).await;
    }
}

#[tokio::test]
async fn events_left_in_the_outbox_are_published_at_start() {
    let system = System::new().await;
    let mut stored = Vec::new();
    for _ in 0..600 {
        stored.push(system.insert().await.1);
    }
    // A new `Database`, so that no write wakes the relay.
    let database = Database::new(system.database.store().clone(), Arc::new(system.env.clock.clone()));
    tokio::spawn(relay("shows", database, system.bus.clone(), CancellationToken::new()));
    assert_eq!(system.arrived(600).await, stored);
    system.wait_for_empty_outbox().await;
}

#[tokio::test]
async fn a_write_wakes_the_relay() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    let began = Instant::now();
    for _ in 0..20 {
        let (_, stored) = system.insert().await;
        assert_eq!(system.arrived(1).await, [stored]);
    }
    assert!(began.elapsed() < Duration::from_secs(20), "without waking, twenty sweeps take a hundred seconds");
}

#[tokio::test]
async fn events_written_during_an_outage_arrive_after_it() {
    let system = System::new().await;
    system.start_relay(&CancellationToken::new());
    system.bus.interrupt();
    let (show, first) = system.insert().await;
    let mut stored = vec![first];
    for _ in 0..10 {
        stored.push(system.change(show).await);
    }
    soon("two refused attempts", system.bus.wait_for_refusals(2)).await;
    assert_eq!(system.database.store().unpublished(100).await.unwrap().len(), 11);
    system.bus.resume();
    assert_eq!(system.arrived(11).await, stored);
    system.wait_for_empty_outbox().await;
}

#[tokio::test]
async fn an_event_published_twice_is_delivered_once() {
    let system = System::new().await;
    let (_, first) = system.insert().await;
    // The state after a relay crashed between publishing and clearing the outbox.
    let events = system.database.store().unpublished(1).await.unwrap();
    system.bus.publish(&[events[0].message.clone()]).await.unwrap();

    system.start_relay(&CancellationToken::new());
    system.wait_for_empty_outbox().await;
    let (_, second) = system.insert().await;
    assert_eq!(system.arrived(2).await, [first, second]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_of_a_record_are_published_in_order() {
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
    let expected = join_all(changes).await;
    let arrived = system.arrived(510).await;
    for (messages, (show, _)) in expected.into_iter().zip(&shows) {
        let of_this = arrived.iter().filter(|id| id.contains(&show.to_string())).cloned();
        assert_eq!(of_this.collect::<Vec<_>>(), messages);
    }
}

#[tokio::test]
async fn a_cancelled_relay_drains_the_outbox() {
    let system = System::new().await;
    let (_, stored) = system.insert().await;
    let stop = CancellationToken::new();
    stop.cancel();
    soon("the relay to stop", system.start_relay(&stop)).await.unwrap();
    assert_eq!(system.arrived(1).await, [stored]);
    system.wait_for_empty_outbox().await;
}
