//! The relay of `common` from outbox to bus.

mod queue;
mod store;
mod sweep;
mod unpublishable;

use std::sync::Arc;

use common::bus::{Bus, Durable, Subscription, Verdict};
use common::clock::Clock;
use common::events::{Subject, TicketCreated};
use common::ids::{RecordId, TicketId};
use common::outbox::{Published, relay};
use common::store::{Collection, Database, Entity, Schema, Store, StoreError};
use engines::sqlite::{SqliteBus, SqliteStore};
use serde::{Deserialize, Serialize};
use testing::builders::ticket_created;
use testing::{InterruptibleBus, TestEnv, message, soon, wait_until};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::mongo;

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
    fn new(env: &TestEnv) -> Self {
        Self { id: TicketId::generate(env.clock.now()), version: 0 }
    }

    fn event(&self) -> TicketCreated {
        TicketCreated { id: self.id, version: self.version, ..ticket_created(self.id.created_at()) }
    }
}

fn sqlite_store(env: &TestEnv) -> Arc<dyn Store> {
    env.database(|file| SqliteStore::open(file, &[Show::SCHEMA])).store().clone()
}

fn sqlite_bus(env: &TestEnv) -> Arc<dyn Bus> {
    Arc::new(SqliteBus::open(&env.directory().join("bus.db")).expect("opened"))
}

struct System {
    env: TestEnv,
    database: Database,
    shows: Collection<Show>,
    bus: Arc<InterruptibleBus>,
    reader: Box<dyn Subscription>,
}

impl System {
    /// On embedded engines.
    async fn new() -> Self {
        let env = TestEnv::new();
        let (store, bus) = (sqlite_store(&env), sqlite_bus(&env));
        Self::on(env, store, bus).await
    }

    async fn with_bus(bus: Arc<dyn Bus>) -> Self {
        let env = TestEnv::new();
        let store = sqlite_store(&env);
        Self::on(env, store, bus).await
    }

    async fn on_store(store: Arc<dyn Store>) -> Self {
        let env = TestEnv::new();
        let bus = sqlite_bus(&env);
        Self::on(env, store, bus).await
    }

    async fn on_mongo(case: &mongo::Case) -> Self {
        Self::on_store(Arc::new(case.open(&[Show::SCHEMA]).await)).await
    }

    async fn on(env: TestEnv, store: Arc<dyn Store>, bus: Arc<dyn Bus>) -> Self {
        let database = Database::new(store, Arc::new(env.clock.clone()));
        let bus = Arc::new(InterruptibleBus::new(bus));
        let reader = bus.subscribe(READER).await.expect("a subscription");
        Self { env, shows: database.collection(), database, bus, reader }
    }

    /// The same database as another replica sees it.
    fn replica(&self, store: Arc<dyn Store>) -> Database {
        Database::new(store, Arc::new(self.env.clock.clone()))
    }

    fn start_relay(&self, stop: &CancellationToken) -> JoinHandle<()> {
        self.start_relay_of(&self.database, stop)
    }

    fn start_relay_of(&self, database: &Database, stop: &CancellationToken) -> JoinHandle<()> {
        tokio::spawn(relay("shows", database.clone(), self.bus.clone(), Published::default(), stop.clone()))
    }

    /// Inserts a record and returns its id and the id of its message.
    async fn insert(&self) -> (TicketId, String) {
        self.insert_into(&self.database).await
    }

    /// Inserts a record as a replica that crashes before it publishes the event.
    async fn leave_behind(&self) -> String {
        self.insert_into(&self.replica(self.database.store().clone())).await.1
    }

    async fn insert_into(&self, database: &Database) -> (TicketId, String) {
        let show = Show::new(&self.env);
        let event = show.event();
        let id = message(&event).id;
        database.collection().insert(&show, event).await.expect("stored");
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
        wait_until("an empty outbox", async || self.waiting().await.is_empty().then_some(())).await;
    }

    /// The ids of the messages in the outbox.
    async fn waiting(&self) -> Vec<String> {
        let outbox = self.database.store().unpublished(10_000).await.expect("the outbox");
        outbox.events.into_iter().map(|event| event.message.id).collect()
    }
}
