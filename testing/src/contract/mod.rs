//! The contracts of the ports: what every engine must do.
//!
//! A contract is a set of plain async functions, the cases, over [`Data`]. [`store_contract!`](crate::store_contract),
//! [`bus_contract!`](crate::bus_contract) and [`jobs_contract!`](crate::jobs_contract) list the cases and turn each
//! into a test of one engine, in a module named after the engine:
//!
//! ```text
//! mod store {
//!     testing::store_contract!(sqlite, crate::sqlite::store);
//! }
//! ```
//!
//! The function named there creates fresh [`Data`] for each test, or returns `None` if the engine's server is missing.
//!
//! Engines differ in their timing, so cases never assert that something happens quickly; they wait for it with
//! [`soon`](crate::soon).

pub mod bus;
mod harness;
pub mod jobs;
pub mod store;

pub use harness::{Data, Fresh, run};
