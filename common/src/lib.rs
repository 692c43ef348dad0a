//! What every service of Ticketing shares.
//!
//! Read it in this order:
//!
//! - values: [`ids`], [`money`], [`clock`]
//! - [`events`]: what the services tell each other
//! - the ports and their engines: [`store`], [`bus`], [`jobs`]
//! - between store and bus: [`outbox`]
//! - manners: [`http`], [`session`], [`trace`]
//! - starting and stopping: [`config`], [`error`], [`service`]
//!
//! Only adapters (`*/sqlite.rs` and [`sqlite`] beneath them, `store/mongo.rs`, `bus/nats.rs`, `jobs/redis.rs`, and what
//! is in the folders of these names) name the driver of a database or server.

pub mod clock;
pub mod ids;
pub mod money;

pub mod events;

pub mod bus;
pub mod jobs;
pub mod outbox;
pub mod sqlite;
pub mod store;

pub mod http;
pub mod session;
pub mod trace;

pub mod config;
pub mod error;
pub mod service;
#[cfg(feature = "spread")]
pub mod spread;

#[cfg(feature = "testing")]
pub mod contract;
#[cfg(feature = "testing")]
pub mod testing;
