//! The binary under test.

use testing::system::{Setup, System};

/// Its path.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_ticketing");

/// Starts it with its default configuration.
pub(crate) fn setup() -> Setup {
    Setup::new(BINARY)
}

/// A running system with its default configuration.
pub(crate) async fn start() -> System {
    setup().start().await
}
