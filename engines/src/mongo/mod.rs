//! The store on MongoDB: one collection per domain type, with the outbox inside the documents.
//!
//! A write is one operation on one document, so it is atomic without transactions on every MongoDB, including
//! standalone servers. A document holds the state, its `version`, the time of the last write in `writtenAt`, and
//! unpublished events in `outbox`:
//!
//! ```js
//! { _id: ObjectId('…'), version: Long('1'), title: 'Concert', price: Long('1999'), userId: ObjectId('…'),
//!   writtenAt: ISODate('…'),
//!   outbox: [{ id: 'ticket:updated/…/1', subject: 'ticket:updated', payload: '{…}', at: ISODate('…') }] }
//! ```
//!
//! - Only inserts and compare-and-set updates. No upserts, because compatible servers handle concurrent ones
//!   incorrectly.
//! - A document whose outbox is empty is replaced as a whole. Otherwise an update keeps the outbox, and first reads
//!   which fields to remove; a pipeline update would save this read, but not every compatible server supports one.
//!   Nothing can change in between: the update matches the version, and a version is immutable.
//! - Writes are journaled by a majority; reads see only data held by a majority, so they never return an event that a
//!   failover takes back. Reads go to the primary, so that a service reads its own writes.
//! - Nothing is retried here. A write whose response is lost is
//!   [`Unavailable`](common::store::StoreError::Unavailable), whether it happened or not, and never a conflict with
//!   itself. A caller that repeats a write that did happen gets the conflict.
//! - Every call ends within a second and a half, even if the server is gone or hangs.
//! - In a unique index, `null` counts as a value, unlike in SQLite. Leave the field out instead.

mod body;
mod call;
mod database;
mod error;
mod outbox;
mod startup;
mod store;

pub use database::MongoStore;
pub use startup::ConnectError;
