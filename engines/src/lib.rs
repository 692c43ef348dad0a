//! The engines behind the ports of `common`. No other crate uses a database or broker driver.
//!
//! | port | feature `embedded` | feature `spread` |
//! |---|---|---|
//! | [`Store`](common::store::Store) | [`sqlite::SqliteStore`] | `mongo::MongoStore` |
//! | [`Bus`](common::bus::Bus) | [`sqlite::SqliteBus`] | `nats::NatsBus` |
//! | [`DelayedJobs`](common::jobs::DelayedJobs) | [`sqlite::SqliteJobs`] | `redis::RedisJobs` |
//!
//! `standalone` starts a service as a process of its own on the engines of the right column.

#[cfg(feature = "embedded")]
pub mod sqlite;

#[cfg(feature = "spread")]
pub mod mongo;
#[cfg(feature = "spread")]
pub mod nats;
#[cfg(feature = "spread")]
pub mod redis;
#[cfg(feature = "spread")]
pub mod standalone;
