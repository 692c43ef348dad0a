//! What the contract suites of the ports share: `store::contract`, `bus::contract`, `jobs::contract`.
//!
//! A suite is a list of plain functions that say what every engine of a port does. `store_contract!` and its like make
//! a test of each for one engine, in a module of that engine's name:
//!
//! ```text
//! mod store {
//!     testing::store_contract!(sqlite, crate::sqlite::store);
//! }
//! ```
//!
//! The function named there makes fresh [`Data`], or returns `None` where the engine's server is missing.
//!
//! Engines differ in their timing, so no case expects anything sooner than [`soon`].

pub mod bus;
pub mod jobs;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

/// The data of one case, on which an engine can be opened, dropped and opened again, as a restart does.
#[async_trait]
pub trait Data<Port: ?Sized>: Send + Sync {
    /// An engine on this data.
    async fn open(&self) -> Arc<Port>;
}

/// Fresh data of an engine; `None` where it can not be had.
pub type Fresh<Port> = Option<Box<dyn Data<Port>>>;

/// Runs a case, or says that it is skipped.
#[expect(clippy::print_stdout, reason = "who runs the tests must see what was not tested")]
pub async fn run<Port: ?Sized>(data: Fresh<Port>, case: impl AsyncFnOnce(&dyn Data<Port>)) {
    match data {
        Some(data) => case(&*data).await,
        None => println!("skipped: the engine's server is missing"),
    }
}

/// Waits for what must happen, far longer than it takes.
///
/// # Panics
///
/// When it does not happen.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("still waiting for {what}"),
    }
}

/// Makes a test of each case for one engine; what `store_contract!` and its like are made of.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($fresh:path; $($case:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $case() {
            $crate::contract::run($fresh().await, suite::$case).await;
        }
    )*};
}
