//! The store: the database of one service, with versioned documents and an outbox.
//!
//! [`Store`] is the port. Services use the typed [`Collection`] handles of a [`Database`].

mod collection;
mod handover;
mod schema;

use async_trait::async_trait;
use serde_json::Value;

use crate::clock::Timestamp;
use crate::error::BoxError;
use crate::events::Message;

pub use collection::{Collection, Database, Entity, Query};
pub(crate) use collection::{parse, to_document};
pub use schema::{Index, IndexKind, Schema, SchemaMismatch};

/// A document as the port sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its id, unique within the collection.
    pub id: String,
    /// The number of changes: 0 for a new document.
    pub version: u64,
    /// A JSON object.
    pub body: String,
}

/// The stored state that a [`Put`] requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No document with this id.
    Absent,
    /// A document in this version.
    Version(u64),
}

/// An atomic write: a document in its new state, and the events that announce it.
#[derive(Clone, Debug)]
pub struct Put {
    /// The collection.
    pub schema: &'static Schema,
    /// The document in its new state.
    pub document: Document,
    /// The stored state that it replaces.
    pub expect: Expect,
    /// The events to publish once the write is durable.
    pub events: Vec<Message>,
    /// The time of the write. The age of an unpublished event counts from here.
    pub at: Timestamp,
}

/// A query for documents, newest (highest id) first.
#[derive(Clone, Debug)]
pub struct Find {
    /// Fields and the values they must equal. `Null` matches documents without the field. There must be an index over
    /// exactly these fields.
    pub equal: Vec<(&'static str, Value)>,
    /// Finds only documents older than the one with this id.
    pub after: Option<String>,
    /// The maximum number of documents.
    pub limit: usize,
}

/// An event in the outbox: stored and not yet known to be published.
#[derive(Clone, Debug)]
pub struct Unpublished {
    /// Identifies the entry; chosen by the engine.
    pub token: String,
    /// The message to publish.
    pub message: Message,
    /// When it was stored.
    pub since: Timestamp,
}

/// The oldest entries of an outbox.
#[derive(Debug, Default)]
pub struct Outbox {
    /// The events, oldest first and those of one document in order.
    pub events: Vec<Unpublished>,
    /// The entries that are not events that this version knows.
    pub invalid: Vec<InvalidEntry>,
}

/// An entry of the outbox that is not an event that this version knows: a newer version stored it, or it was edited.
#[derive(Debug)]
pub struct InvalidEntry {
    /// Identifies the entry; chosen by the engine.
    pub token: String,
    /// What is wrong with it.
    pub reason: BoxError,
}

/// The error of a store operation. A missing document is not an error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The stored document is not in the expected version.
    #[error("the document was changed by another writer")]
    Conflict,
    /// Another document has the same values in this unique index.
    #[error("unique index {0} already contains this value")]
    Duplicate(String),
    /// The database cannot be reached or written to at the moment. It is unknown whether a write happened.
    #[error("the database is unavailable")]
    Unavailable(#[source] BoxError),
    /// The stored document is not valid.
    #[error("{collection}/{id} is not a valid document")]
    Corrupt {
        /// The collection.
        collection: &'static str,
        /// The document.
        id: String,
        /// What is wrong with it.
        source: BoxError,
    },
    /// An entity or event cannot be represented as JSON.
    #[error("could not serialise a document or event")]
    Serialise(#[from] serde_json::Error),
}

impl StoreError {
    /// [`StoreError::Unavailable`] with this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// [`StoreError::Corrupt`] with this cause.
    pub fn corrupt(schema: &Schema, id: &str, cause: impl Into<BoxError>) -> Self {
        Self::Corrupt { collection: schema.collection, id: id.to_owned(), source: cause.into() }
    }
}

/// The port: a database of versioned documents with an outbox.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Returns the document with this id, if there is one.
    async fn get(&self, schema: &'static Schema, id: &str) -> Result<Option<Document>, StoreError>;

    /// Returns the documents that match, newest first.
    async fn find(&self, schema: &'static Schema, query: Find) -> Result<Vec<Document>, StoreError>;

    /// Returns at most `limit` documents of a collection after the one with the id `after`, newest (highest id) first,
    /// each with the time of its last write: the [`at`](Put::at) of its [`Put`].
    ///
    /// Use it to read a whole collection page by page.
    async fn scan(
        &self,
        schema: &'static Schema,
        after: Option<String>,
        limit: usize,
    ) -> Result<Vec<(Document, Timestamp)>, StoreError>;

    /// Returns about how many documents a collection has.
    async fn count(&self, schema: &'static Schema) -> Result<u64, StoreError>;

    /// Writes a document and its events atomically and durably, if the stored state is the expected one. Returns the
    /// entries that it adds to the outbox.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] if the stored state differs, [`StoreError::Duplicate`] if a unique index already
    /// contains the document's values.
    async fn put(&self, put: Put) -> Result<Vec<Unpublished>, StoreError>;

    /// Returns the oldest entries of the outbox, at most `limit`. These are the events that are not yet reported as
    /// [`published`](Self::published), and invalid entries. The cost depends on their number, not on the size of the
    /// database.
    async fn unpublished(&self, limit: usize) -> Result<Outbox, StoreError>;

    /// Deletes events from the outbox. Idempotent.
    async fn published(&self, events: &[Unpublished]) -> Result<(), StoreError>;

    /// Deletes at most `limit` documents with ids before this one, oldest first. Returns how many.
    ///
    /// Only for collections whose documents announce no events: an event in the outbox may be deleted with its document.
    async fn delete_before(&self, schema: &'static Schema, id: &str, limit: usize) -> Result<usize, StoreError>;

    /// Checks that the database responds.
    async fn ping(&self) -> Result<(), StoreError>;
}
