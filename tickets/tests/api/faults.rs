//! Behaviour on a slow or failing database.

use std::sync::Arc;

use async_trait::async_trait;
use common::clock::Timestamp;
use common::listener::ListenError;
use common::store::{Database, Document, Find, Outbox, Put, Schema, Store, StoreError, Unpublished};
use engines::sqlite::SqliteStore;
use serde_json::{Value, json};
use testing::TestEnv;
use testing::builders::order_cancelled;
use tokio::sync::watch;

use crate::TicketsApp;

/// What happens to writes of a collection.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// They wait until the fault is over.
    Slow(&'static str),
    /// They fail.
    Failing(&'static str),
}

/// A store that injects faults into writes.
struct FaultyStore {
    store: Arc<dyn Store>,
    fault: watch::Receiver<Fault>,
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        self.store.get(schema, id).await
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        self.store.find(schema, query).await
    }

    async fn scan(
        &self,
        schema: &'static Schema,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(Document, Timestamp)>, StoreError> {
        self.store.scan(schema, after, limit).await
    }

    async fn count(&self, schema: &'static Schema) -> Result<u64, StoreError> {
        self.store.count(schema).await
    }

    async fn put(&self, put: Put) -> Result<Vec<Unpublished>, StoreError> {
        let collection = put.schema.collection;
        if *self.fault.borrow() == Fault::Failing(collection) {
            return Err(StoreError::unavailable("no space left"));
        }
        let mut fault = self.fault.clone();
        drop(fault.wait_for(|fault| *fault != Fault::Slow(collection)).await);
        self.store.put(put).await
    }

    async fn unpublished(&self, limit: usize) -> Result<Outbox, StoreError> {
        self.store.unpublished(limit).await
    }

    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        self.store.published(events).await
    }

    async fn delete_before(&self, schema: &'static Schema, id: &str, limit: usize) -> Result<usize, StoreError> {
        self.store.delete_before(schema, id, limit).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

fn faulty_app() -> (TicketsApp, watch::Sender<Fault>) {
    let env = TestEnv::new();
    let (fault, receiver) = watch::channel(Fault::None);
    let store = env.database(|file| SqliteStore::open(file, tickets::SCHEMAS)).store().clone();
    let store = FaultyStore { store, fault: receiver };
    let database = Database::new(Arc::new(store), Arc::new(env.clock.clone()));
    (TicketsApp::on(env, database), fault)
}

/// `order:created` reads no cancellation; then `order:cancelled` reads a ticket that is not reserved yet, and so has
/// nothing to release.
#[tokio::test]
async fn a_cancellation_between_read_and_write_releases_the_ticket() {
    let (app, fault) = faulty_app();
    let id = app.new_ticket().await;
    let order = app.order_created(id);
    fault.send_replace(Fault::Slow("tickets"));
    let cancellation = async {
        app.service.deliver(&order_cancelled(&order)).await;
        fault.send_replace(Fault::None);
    };
    let (created, ()) = tokio::join!(app.service.deliver_once(&order), cancellation);
    created.unwrap();
    assert_eq!(app.find_ticket(id).await["orderId"], Value::Null);
    assert_eq!(app.service.published().await.len(), 2);
}

#[tokio::test]
async fn redelivery_finishes_work_that_a_failing_database_interrupted() {
    for collection in ["tickets", "reservations"] {
        let (app, fault) = faulty_app();
        let id = app.new_ticket().await;
        let order = app.order_created(id);
        fault.send_replace(Fault::Failing(collection));
        let delivered = app.service.deliver_once(&order).await;
        assert!(matches!(delivered, Err(ListenError::Unavailable(_))), "{delivered:?}");
        fault.send_replace(Fault::None);
        app.service.deliver(&order).await;
        assert_eq!(app.find_ticket(id).await["orderId"], order.id.to_string());

        fault.send_replace(Fault::Failing(collection));
        let delivered = app.service.deliver_once(&order_cancelled(&order)).await;
        assert!(matches!(delivered, Err(ListenError::Unavailable(_))), "{delivered:?}");
        fault.send_replace(Fault::None);
        app.service.deliver(&order_cancelled(&order)).await;
        assert_eq!(app.find_ticket(id).await["orderId"], Value::Null);
        assert_eq!(app.service.published().await.len(), 2);
    }
}

/// The ticket is reserved, but the reservation is not recorded; then the order is cancelled and another one placed.
#[tokio::test]
async fn a_partial_reservation_does_not_outlive_its_order() {
    let (app, fault) = faulty_app();
    let id = app.new_ticket().await;
    let (order, next) = (app.order_created(id), app.order_created(id));
    fault.send_replace(Fault::Failing("reservations"));
    app.service.deliver_once(&order).await.unwrap_err();
    fault.send_replace(Fault::None);
    app.service.deliver(&order_cancelled(&order)).await;
    app.service.deliver(&next).await;
    app.service.deliver(&order).await;
    assert_eq!(app.find_ticket(id).await["orderId"], next.id.to_string());
}

#[tokio::test]
async fn a_failing_database_answers_503_with_retry_after() {
    let (app, fault) = faulty_app();
    let id = app.new_ticket().await;
    fault.send_replace(Fault::Failing("tickets"));
    let reply = app.edit(id, "Other").await;
    assert_eq!(reply.headers["retry-after"], "1");
    let request_id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
    let error = json!({"message": "Something went wrong", "requestId": request_id});
    assert_eq!(reply.expect(503), json!({"errors": [error]}));
    assert_eq!(app.service.published().await, []);
    fault.send_replace(Fault::None);
    app.edit(id, "Other").await.expect(200);
}
