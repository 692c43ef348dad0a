//! What only a slow or failing database brings about.

use std::sync::Arc;

use async_trait::async_trait;
use common::listener::ListenError;
use common::store::{Database, Document, Find, Put, Schema, Store, StoreError, Unpublished};
use engines::sqlite::SqliteStore;
use serde_json::{Value, json};
use testing::TestEnv;
use tokio::sync::watch;

use crate::{TicketsApp, cancelled};

/// What befalls the writes of a collection.
#[derive(Clone, Copy, PartialEq)]
enum Trouble {
    None,
    /// They wait until it is over.
    Slow(&'static str),
    /// They fail.
    Failing(&'static str),
}

/// A store whose writes meet with trouble.
struct TroubledStore {
    store: Arc<dyn Store>,
    trouble: watch::Receiver<Trouble>,
}

#[async_trait]
impl Store for TroubledStore {
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError> {
        self.store.get(schema, id).await
    }

    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError> {
        self.store.find(schema, query).await
    }

    async fn put(&self, put: Put) -> Result<(), StoreError> {
        let collection = put.schema.collection;
        if *self.trouble.borrow() == Trouble::Failing(collection) {
            return Err(StoreError::unavailable("no space left"));
        }
        let mut trouble = self.trouble.clone();
        drop(trouble.wait_for(|trouble| *trouble != Trouble::Slow(collection)).await);
        self.store.put(put).await
    }

    async fn unpublished(&self, limit: usize) -> Result<Vec<Unpublished>, StoreError> {
        self.store.unpublished(limit).await
    }

    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError> {
        self.store.published(events).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }
}

fn troubled_app() -> (TicketsApp, watch::Sender<Trouble>) {
    let env = TestEnv::new();
    let (trouble, receiver) = watch::channel(Trouble::None);
    let store = env.database(|file| SqliteStore::open(file, tickets::SCHEMAS)).store().clone();
    let store = TroubledStore { store, trouble: receiver };
    let database = Database::new(Arc::new(store), Arc::new(env.clock.clone()));
    (TicketsApp::on(env, database), trouble)
}

/// The new order has looked for its cancellation and found none; the cancellation looks at the ticket before it is
/// reserved, and finds nothing to release.
#[tokio::test]
async fn a_cancellation_between_the_look_and_the_write_of_a_new_order_releases_its_ticket() {
    let (app, trouble) = troubled_app();
    let id = app.listed_ticket().await;
    let order = app.order(id);
    trouble.send_replace(Trouble::Slow("tickets"));
    let cancellation = async {
        app.service.deliver(&cancelled(&order)).await;
        trouble.send_replace(Trouble::None);
    };
    let (created, ()) = tokio::join!(app.service.deliver_once(&order), cancellation);
    created.unwrap();
    assert_eq!(app.ticket(id).await["orderId"], Value::Null);
    assert_eq!(app.service.published().await.len(), 2);
}

#[tokio::test]
async fn what_was_half_done_when_the_database_failed_is_finished_later() {
    for collection in ["tickets", "reservations"] {
        let (app, trouble) = troubled_app();
        let id = app.listed_ticket().await;
        let order = app.order(id);
        trouble.send_replace(Trouble::Failing(collection));
        let delivered = app.service.deliver_once(&order).await;
        assert!(matches!(delivered, Err(ListenError::Retry(_))), "{delivered:?}");
        trouble.send_replace(Trouble::None);
        app.service.deliver(&order).await;
        assert_eq!(app.ticket(id).await["orderId"], order.id.to_string());

        trouble.send_replace(Trouble::Failing(collection));
        let delivered = app.service.deliver_once(&cancelled(&order)).await;
        assert!(matches!(delivered, Err(ListenError::Retry(_))), "{delivered:?}");
        trouble.send_replace(Trouble::None);
        app.service.deliver(&cancelled(&order)).await;
        assert_eq!(app.ticket(id).await["orderId"], Value::Null);
        assert_eq!(app.service.published().await.len(), 2);
    }
}

/// The reservation was written, the note of it was not, and meanwhile the order is cancelled and another one placed.
#[tokio::test]
async fn a_half_done_reservation_does_not_outlive_its_order() {
    let (app, trouble) = troubled_app();
    let id = app.listed_ticket().await;
    let (order, next) = (app.order(id), app.order(id));
    trouble.send_replace(Trouble::Failing("reservations"));
    app.service.deliver_once(&order).await.unwrap_err();
    trouble.send_replace(Trouble::None);
    app.service.deliver(&cancelled(&order)).await;
    app.service.deliver(&next).await;
    app.service.deliver(&order).await;
    assert_eq!(app.ticket(id).await["orderId"], next.id.to_string());
}

#[tokio::test]
async fn while_the_database_fails_clients_are_told_to_come_again() {
    let (app, trouble) = troubled_app();
    let id = app.listed_ticket().await;
    trouble.send_replace(Trouble::Failing("tickets"));
    let reply = app.edit(id, "Other").await;
    assert_eq!(reply.headers["retry-after"], "1");
    let request_id = reply.headers["x-request-id"].to_str().unwrap().to_owned();
    let error = json!({"message": "Something went wrong", "requestId": request_id});
    assert_eq!(reply.expect(503), json!({"errors": [error]}));
    assert_eq!(app.service.published().await, []);
    trouble.send_replace(Trouble::None);
    app.edit(id, "Other").await.expect(200);
}
