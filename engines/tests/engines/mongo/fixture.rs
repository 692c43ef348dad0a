//! A MongoDB database for each test, on one server for all.
//!
//! The server is the one at `TEST_MONGO_URI`, which names no database, or else one that the tests start.

use std::fmt::Debug;
use std::sync::{Arc, Weak};
use std::{env, thread};

use async_trait::async_trait;
use common::clock::Timestamp;
use common::events::{Message, Subject};
use common::store::{Document, Expect, Index, IndexKind, Put, Schema, Store, StoreError};
use engines::mongo::MongoStore;
use mongodb::bson::Document as Stored;
use mongodb::bson::oid::ObjectId;
use mongodb::{Client, Collection, Database};
use secrecy::SecretString;
use serde_json::Value;
use testing::contract::store::SCHEMAS;
use testing::contract::{Data, Fresh};
use testing::servers::{self, Server};
use tokio::runtime::Builder;
use tokio::sync::Mutex;

/// An entity like those of the services.
pub(super) const TICKETS: &Schema = &Schema {
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

/// A fresh database, dropped after the test.
pub(crate) struct Case {
    pub(super) server: Arc<Shared>,
    pub(super) database: String,
}

/// The server of all tests, stopped after the last one that runs.
pub(super) struct Shared {
    pub(super) uri: String,
    _server: Option<Server>,
}

impl Shared {
    async fn get() -> Option<Arc<Self>> {
        static RUNNING: Mutex<Weak<Shared>> = Mutex::const_new(Weak::new());

        let mut running = RUNNING.lock().await;
        if let Some(shared) = running.upgrade() {
            return Some(shared);
        }
        let shared = match env::var_os("TEST_MONGO_URI") {
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
    /// `None` if there is no server.
    pub(crate) async fn new() -> Option<Self> {
        let server = Shared::get().await?;
        let database = format!("test_{}", ObjectId::new());
        Some(Self { server, database })
    }

    pub(crate) async fn open(&self, schemas: &[&'static Schema]) -> MongoStore {
        MongoStore::connect(&self.uri(), &self.database, schemas).await.expect("a store")
    }

    /// With a long timeout, because these tests do not measure how fast a busy machine answers.
    fn uri(&self) -> SecretString {
        format!("{}/?serverSelectionTimeoutMS=30000", self.server.uri.trim_end_matches('/')).into()
    }

    /// The database through the bare driver.
    pub(super) async fn database(&self) -> Database {
        Client::with_uri_str(&self.server.uri).await.expect("a client").database(&self.database)
    }

    /// The collection of [`TICKETS`] through the bare driver.
    pub(super) async fn tickets(&self) -> Collection<Stored> {
        self.collection("tickets").await
    }

    /// A collection through the bare driver.
    pub(crate) async fn collection(&self, name: &str) -> Collection<Stored> {
        self.database().await.collection(name)
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
        let clean = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async { Client::with_uri_str(uri).await?.database(&database).drop().await })
        });
        // The server may have been stopped, and its data deleted.
        let _gone = clean.join();
    }
}

pub(super) fn new_id() -> String {
    ObjectId::new().to_hex()
}

/// A write of this version of a ticket, with its event.
pub(super) fn ticket(id: &str, version: u64, fields: &Value) -> Put {
    let mut body = fields.clone();
    (body["id"], body["version"]) = (id.into(), version.into());
    let event = Message {
        id: format!("ticket:updated/{id}/{version}"),
        subject: Subject::TicketUpdated,
        payload: body.to_string(),
        traceparent: None,
    };
    Put {
        schema: TICKETS,
        document: Document { id: id.to_owned(), version, body: body.to_string() },
        expect: version.checked_sub(1).map_or(Expect::Absent, Expect::Version),
        events: vec![event],
        at: Timestamp::from_millis(1_769_860_800_000),
    }
}

pub(super) async fn body(store: &MongoStore, id: &str) -> Value {
    let document = store.get(TICKETS, id).await.expect("get").expect("a document");
    serde_json::from_str(&document.body).expect("JSON")
}

/// The id of the document and the cause of a [`StoreError::Corrupt`].
pub(super) fn corruption<T: Debug>(outcome: Result<T, StoreError>) -> (String, String) {
    match outcome {
        Err(StoreError::Corrupt { collection: "tickets", id, source }) => (id, source.to_string()),
        other => panic!("{other:?}"),
    }
}
