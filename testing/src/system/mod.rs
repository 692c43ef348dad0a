//! The system as its users see it: real processes, driven over HTTP.
//!
//! For the system tests and benchmarks of the crate that builds the binaries. `env!("CARGO_BIN_EXE_…")` exists only
//! there, so the path of a binary is passed in. What reads a database or the bus directly is not here either: this
//! crate has no engine.

#![expect(clippy::unwrap_used, reason = "in a test, anything unexpected is a failure")]

mod binaries;
mod output;
mod process;
mod whole;

mod api;
mod reply;
mod user;
mod views;

mod raw;

pub mod load;
pub mod records;

pub use api::{Api, http_client};
pub use binaries::{Addresses, Binaries, SERVICES, ServerPorts, simulator_url};
pub use process::{Process, STOP_TIMEOUT, run};
pub use raw::{RawConnection, RawReply};
pub use reply::{Call, FieldError, Reply};
pub use user::{PASSWORD, User};
pub use views::{Card, Order, OrderedTicket, Payment, Ticket};
pub use whole::{Setup, System};
