//! The binaries under test.

use testing::system::Binaries;

/// Built by `cargo build --workspace`: cargo builds only the binary of this crate for its tests.
pub(crate) fn binaries() -> Binaries {
    Binaries::beside(env!("CARGO_BIN_EXE_ticketing"))
}
