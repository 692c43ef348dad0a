//! Runs cases against engines.

use std::sync::Arc;

use async_trait::async_trait;

/// The data of one test. An engine can be opened on it, dropped and opened again, as in a restart.
#[async_trait]
pub trait Data<Port: ?Sized>: Send + Sync {
    /// Opens an engine on this data.
    async fn open(&self) -> Arc<Port>;
}

/// Fresh data of an engine; `None` if its server is missing.
pub type Fresh<Port> = Option<Box<dyn Data<Port>>>;

/// Runs a case, or prints that it is skipped.
#[expect(clippy::print_stdout, reason = "a skipped test must be visible")]
pub async fn run<Port: ?Sized>(data: Fresh<Port>, case: impl AsyncFnOnce(&dyn Data<Port>)) {
    match data {
        Some(data) => case(&*data).await,
        None => println!("skipped: the engine's server is missing"),
    }
}

/// Makes one test per case for one engine. Takes the modules of the cases, each with its list.
#[doc(hidden)]
#[macro_export]
macro_rules! contract_tests {
    ($engine:ident, $fresh:path; $($topic:path { $($case:ident)* })*) => {
        mod $engine {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $case() {
                    use $topic as topic;
                    $crate::contract::run($fresh().await, topic::$case).await;
                }
            )*)*
        }
    };
}
