//! Test support shared by all crates.
//!
//! - [`TestEnv`] and [`TestApp`] drive a service in memory: its real router and listeners on embedded engines, with a
//!   manual clock.
//! - [`builders`] makes the events of other services.
//! - [`contract`] holds the suites that every engine of a port passes.
//! - `system` (feature `system`) runs the binaries and talks to them over HTTP.
//! - [`servers`] starts real database and broker servers, and cuts the network to them.
//! - [`MemoryStore`] replays an exact sequence of steps.
//! - [`soon`] and [`wait_until`] wait without fixed sleeps.

mod app;
pub mod builders;
pub mod contract;
mod env;
mod interruptible;
mod memory;
pub mod pages;
mod request;
pub mod servers;
pub mod snapshots;
#[cfg(feature = "system")]
pub mod system;
mod wait;

pub use app::{TestApp, Workers};
pub use builders::message;
pub use env::{TestEnv, TestUser};
pub use interruptible::InterruptibleBus;
pub use memory::{MemoryStore, Pace, WriteFault};
pub use request::{Reply, TestRequest};
pub use wait::{TIMEOUT, in_time, soon, wait_until, wait_until_ok};
