//! MongoDB, a database of its own for each case, on one server for all.
//!
//! The server is the one that `TEST_MONGO_URI` names (without a database), or else one that the tests start.

mod outages;
mod plans;
mod start;

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use common::store::{Document, Expect, Index, IndexKind, Put, Schema, Store, StoreError};
use engines::mongo::MongoStore;
use mongodb::Client;
use mongodb::bson::Document as Stored;
use secrecy::SecretString;
use serde_json::{Value, json};
use testing::contract::store::SCHEMAS;
use testing::contract::{Data, Fresh};
use testing::servers::{self, Server};
use tokio::sync::Mutex;

/// What the tests of this engine alone store: an entity as services have them.
const TICKETS: &Schema = &Schema {
    collection: "tickets",
    indexes: &[
        Index { name: "by_order", fields: &["orderId"], kind: IndexKind::Plain },
        Index { name: "by_seat", fields: &["seat"], kind: IndexKind::Unique },
    ],
    ids: &["orderId"],
    times: &["soldAt"],
};

pub(crate) async fn store() -> Fresh<dyn Store> {
    Some(Box::new(Case::new().await?))
}

/// A database of its own, gone afterwards.
struct Case {
    server: Arc<Shared>,
    database: String,
}

/// The server of all cases, stopped after the last of them.
struct Shared {
    uri: String,
    _server: Option<Server>,
}

impl Shared {
    async fn get() -> Option<Arc<Self>> {
        static RUNNING: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());

        let mut running = RUNNING.lock().await;
        if let Some(shared) = running.upgrade() {
            return Some(shared);
        }
        let shared = match std::env::var_os("TEST_MONGO_URI") {
            Some(uri) => Self { uri: uri.into_string().expect("a URI"), _server: None },
            None => {
                let server = Server::start(servers::mongo()).await?;
                Self { uri: format!("mongodb://127.0.0.1:{}", server.port()), _server: Some(server) }
            }
        };
        let shared = Arc::new(shared);
        *running = Arc::downgrade(&shared);
        Some(shared)
    }
}

impl Case {
    async fn new() -> Option<Self> {
        let server = Shared::get().await?;
        let database = format!("test_{}", mongodb::bson::oid::ObjectId::new());
        Some(Self { server, database })
    }

    async fn open(&self, schemas: &[&'static Schema]) -> MongoStore {
        MongoStore::connect(&self.uri(), &self.database, schemas).await.expect("a store")
    }

    /// With patience: what is tested is not how fast a busy machine answers.
    fn uri(&self) -> SecretString {
        format!("{}/?serverSelectionTimeoutMS=30000", self.server.uri.trim_end_matches('/')).into()
    }

    /// The database as its user sees it, by the driver alone.
    async fn database(&self) -> mongodb::Database {
        Client::with_uri_str(&self.server.uri).await.expect("a client").database(&self.database)
    }

    async fn tickets(&self) -> mongodb::Collection<Stored> {
        self.database().await.collection("tickets")
    }
}

#[async_trait]
impl Data<dyn Store> for Case {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(Self::open(self, SCHEMAS).await)
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let (uri, database) = (self.server.uri.clone(), self.database.clone());
        let clean = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { Client::with_uri_str(uri).await?.database(&database).drop().await })
        });
        // The server may be gone, and the database with it.
        let _gone = clean.join();
    }
}

fn new_id() -> String {
    mongodb::bson::oid::ObjectId::new().to_hex()
}

/// A write of a ticket in this version, with the event that announces it.
fn ticket(id: &str, version: u64, fields: &Value) -> Put {
    let mut body = fields.clone();
    (body["id"], body["version"]) = (id.into(), version.into());
    let event = common::events::Message {
        id: format!("ticket:updated/{id}/{version}"),
        subject: common::events::Subject::TicketUpdated,
        payload: body.to_string(),
        traceparent: None,
    };
    Put {
        schema: TICKETS,
        document: Document { id: id.to_owned(), version, body: body.to_string() },
        expect: version.checked_sub(1).map_or(Expect::Absent, Expect::Version),
        events: vec![event],
        at: common::clock::Timestamp::from_millis(1_769_860_800_000),
    }
}

async fn body(store: &MongoStore, id: &str) -> Value {
    let document = store.get(TICKETS, id).await.expect("get").expect("a document");
    serde_json::from_str(&document.body).expect("JSON")
}

fn why_corrupt<T: std::fmt::Debug>(outcome: Result<T, StoreError>) -> (String, String) {
    match outcome {
        Err(StoreError::Corrupt { collection: "tickets", id, source }) => (id, source.to_string()),
        other => panic!("{other:?}"),
    }
}

/// Skips a test aloud where there is no server, which is an error where there has to be one.
macro_rules! case_or_skip {
    () => {
        match crate::mongo::Case::new().await {
            Some(case) => case,
            None => return,
        }
    };
}
use case_or_skip;

#[tokio::test(flavor = "multi_thread")]
async fn mongosh_shows_what_its_users_expect() {
    use mongodb::bson::{Bson, DateTime, doc, oid::ObjectId};

    let case = case_or_skip!();
    let (store, id, order) = (case.open(&[TICKETS]).await, ObjectId::new(), ObjectId::new());
    let fields =
        json!({"title": "Concert", "price": 1999, "orderId": order.to_hex(), "soldAt": "2026-01-31T12:00:00.007Z"});
    store.put(ticket(&id.to_hex(), 0, &fields)).await.expect("put");
    store.put(ticket(&id.to_hex(), 1, &json!({"title": "Play", "price": 1999}))).await.expect("put");
    store.put(ticket(&id.to_hex(), 2, &fields)).await.expect("put");

    let stored = case.tickets().await.find_one(doc! {}).await.expect("an answer").expect("a document");
    assert_eq!(stored.get("_id"), Some(&Bson::ObjectId(id)));
    assert_eq!(stored.get("version"), Some(&Bson::Int64(2)));
    assert_eq!(stored.get("price"), Some(&Bson::Int64(1999)));
    assert_eq!(stored.get("orderId"), Some(&Bson::ObjectId(order)));
    assert_eq!(stored.get("soldAt"), Some(&Bson::DateTime(DateTime::from_millis(1_769_860_800_007))));
    let outbox = stored.get_array("outbox").expect("an outbox");
    let entry = outbox[2].as_document().expect("an entry");
    assert_eq!(entry.get_str("id").ok(), Some(&*format!("ticket:updated/{id}/2")));
    assert_eq!(entry.get_datetime("at").ok(), Some(&DateTime::from_millis(1_769_860_800_000)));

    store.published(&store.unpublished(3).await.expect("events")).await.expect("published");
    let stored = case.tickets().await.find_one(doc! {}).await.expect("an answer").expect("a document");
    assert!(!stored.contains_key("outbox"), "{stored}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_by_hand_is_named() {
    use mongodb::bson::{doc, oid::ObjectId};

    let case = case_or_skip!();
    let (store, tickets, id) = (case.open(&[TICKETS]).await, case.tickets().await, ObjectId::new());
    let all = common::store::Find { equal: Vec::new(), after: None, limit: 10 };
    let read = async || {
        let one = why_corrupt(store.get(TICKETS, &id.to_hex()).await);
        assert_eq!(why_corrupt(store.find(TICKETS, all.clone()).await), one);
        one
    };
    tickets.insert_one(doc! { "_id": id, "title": "Concert" }).await.expect("insert");
    assert_eq!(read().await, (id.to_hex(), "it has no version".into()));
    assert_eq!(why_corrupt(store.put(ticket(&id.to_hex(), 1, &json!({}))).await).1, "it has no version");
    tickets.update_one(doc! {}, doc! { "$set": { "version": 0, "orderId": id.to_hex() } }).await.expect("update");
    assert_eq!(read().await, (id.to_hex(), "orderId is of the wrong type: String".into()));

    // As mongosh writes a small number, it still is one.
    tickets.update_one(doc! {}, doc! { "$set": { "price": 5 }, "$unset": { "orderId": "" } }).await.expect("update");
    assert_eq!(
        body(&store, &id.to_hex()).await,
        json!({"id": id.to_hex(), "version": 0, "title": "Concert", "price": 5})
    );
    store.put(ticket(&id.to_hex(), 1, &json!({"price": 6}))).await.expect("put");
    assert_eq!(body(&store, &id.to_hex()).await, json!({"id": id.to_hex(), "version": 1, "price": 6}));

    tickets.insert_one(doc! { "_id": "mine", "version": 0 }).await.expect("insert");
    assert_eq!(why_corrupt(store.find(TICKETS, all).await), ("\"mine\"".into(), "its _id is not an ObjectId".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_written_by_hand_is_named_once_the_others_are_published() {
    use mongodb::bson::{DateTime, doc, oid::ObjectId};

    let case = case_or_skip!();
    let (store, id) = (case.open(&[TICKETS]).await, ObjectId::new());
    let entry = doc! { "subject": "ticket:created", "payload": "{}", "at": DateTime::from_millis(0) };
    case.tickets().await.insert_one(doc! { "_id": id, "version": 0, "outbox": [entry] }).await.expect("insert");
    store.put(ticket(&new_id(), 0, &json!({}))).await.expect("put");

    let events = store.unpublished(10).await.expect("the event that can be read");
    assert_eq!(events.len(), 1);
    store.published(&events).await.expect("published");
    let why = "in its outbox an entry has no id";
    assert_eq!(why_corrupt(store.unpublished(10).await), (id.to_hex(), why.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_one_document_keep_their_order_whatever_the_clocks_say() {
    let case = case_or_skip!();
    let (store, id) = (case.open(&[TICKETS]).await, new_id());
    let at = |millis, put| Put { at: common::clock::Timestamp::from_millis(millis), ..put };
    store.put(at(5000, ticket(&id, 0, &json!({})))).await.expect("put");
    store.put(at(4000, ticket(&new_id(), 0, &json!({})))).await.expect("put");
    store.put(at(3000, ticket(&id, 1, &json!({})))).await.expect("put");
    let events = store.unpublished(10).await.expect("events");
    let of_one: Vec<&str> = events.iter().map(|event| &*event.message.id).filter(|event| event.contains(&id)).collect();
    assert_eq!(of_one, [format!("ticket:updated/{id}/0"), format!("ticket:updated/{id}/1")]);
    assert_eq!(events.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_clear_one_outbox_at_once_leave_nothing_of_it() {
    use mongodb::bson::doc;

    let case = case_or_skip!();
    let (store, id) = (Arc::new(case.open(&[TICKETS]).await), new_id());
    for round in 0..10 {
        store.put(ticket(&id, 2 * round, &json!({}))).await.expect("put");
        store.put(ticket(&id, 2 * round + 1, &json!({}))).await.expect("put");
        let events = store.unpublished(10).await.expect("events");
        let (one, other) = events.split_at(1);
        let (first, second) = tokio::join!(store.published(one), store.published(other));
        first.and(second).expect("published");
        let stored = case.tickets().await.find_one(doc! {}).await.expect("an answer").expect("a document");
        assert!(!stored.contains_key("outbox"), "{stored}");
    }
}
