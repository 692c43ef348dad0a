//! The store: one database per service, holding documents, each with a version and an outbox.
//!
//! [`Store`] is the port, [`sqlite`] its embedded engine, `mongo` the one that replicas share; services use the typed
//! [`Collection`] handles of a [`Database`] and see none of them.

mod collection;
#[cfg(feature = "testing")]
pub mod contract;
#[cfg(feature = "spread")]
pub mod mongo;
pub mod sqlite;

use async_trait::async_trait;
use serde_json::Value;

use crate::bus::Message;
use crate::clock::Timestamp;

pub use collection::{Collection, Database, Entity, Query};

/// What a collection is called and by what its documents are found.
#[derive(Debug)]
pub struct Schema {
    /// The collection's name, in the plural: `tickets`.
    pub collection: &'static str,
    /// Its indexes besides the one on the id.
    pub indexes: &'static [Index],
    /// Fields that hold ids, besides the document's own: for engines that have a type for ids. The name of a field of
    /// a field is `ticket.id`.
    pub ids: &'static [&'static str],
    /// Fields that hold times, for engines that have a type for times.
    pub times: &'static [&'static str],
}

/// An index over top-level fields of a collection's documents.
#[derive(Debug)]
pub struct Index {
    /// Its name, unlike every other of the database.
    pub name: &'static str,
    /// The fields, in order; the id always follows as the last.
    pub fields: &'static [&'static str],
    /// What it enforces.
    pub kind: IndexKind,
}

/// What an index enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    /// Nothing; it makes queries cheap.
    Plain,
    /// No two documents that have the fields agree in them. Documents without them do not count.
    Unique,
}

/// A document as the port speaks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its id, within its collection.
    pub id: String,
    /// How often it was changed: 0 when new.
    pub version: u64,
    /// A JSON object.
    pub body: String,
}

/// What must be stored for a [`Put`] to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No document of this id.
    Absent,
    /// The document, in this version.
    Version(u64),
}

/// One atomic write: a document's new state together with the events that announce it.
#[derive(Clone, Debug)]
pub struct Put {
    /// Where.
    pub schema: &'static Schema,
    /// The new state.
    pub document: Document,
    /// The old state.
    pub expect: Expect,
    /// What to publish once the write is durable.
    pub events: Vec<Message>,
    /// When the write was asked for: how old an unpublished event is counts from here.
    pub at: Timestamp,
}

/// Which documents to find, the newest (highest id) first.
#[derive(Clone, Debug)]
pub struct Find {
    /// Fields and what they must equal; `Null` means that the document does not have the field. Served by an index
    /// over exactly these fields.
    pub equal: Vec<(&'static str, Value)>,
    /// Only documents older than the one of this id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// An event that is stored but not known to be published.
#[derive(Clone, Debug)]
pub struct Unpublished {
    /// How the engine finds the entry again.
    pub token: String,
    /// What to publish.
    pub message: Message,
    /// When it was stored.
    pub since: Timestamp,
}

/// Why a store could not do what was asked. That something is absent is no error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The document is not in the version that was expected: somebody else wrote first.
    #[error("the document was changed by another")]
    Conflict,
    /// A unique index, named here, already holds the fields.
    #[error("another document is in the way of unique index {0}")]
    Duplicate(String),
    /// The database can not be reached, or not be written, now. The write may or may not have happened.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// What is stored is not what was written, or not by us.
    #[error("{collection}/{id} is not a document of ours: {why}")]
    Corrupt {
        /// Where it lies.
        collection: &'static str,
        /// Which document.
        id: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The port: a database that holds versioned documents and their outbox.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// The document of this id, if there is one.
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError>;

    /// The documents that match, the newest first.
    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError>;

    /// Writes a document and its events, atomically and durably, if what is stored is what was expected.
    ///
    /// Fails with [`StoreError::Conflict`] if it is not, [`StoreError::Duplicate`] if a unique index forbids it.
    async fn put(&self, put: Put) -> Result<(), StoreError>;

    /// Events that were stored and not yet reported as [`published`](Self::published), the oldest first, those of
    /// one document in the order they were stored. Costs what is pending, not what is stored.
    async fn unpublished(&self, limit: usize) -> Result<Vec<Unpublished>, StoreError>;

    /// Takes events out of the outbox. Repeating it is harmless.
    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError>;

    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
