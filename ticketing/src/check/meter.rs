//! The progress of a long read.

use std::io::{self, IsTerminal, Write};

/// Shows on a terminal how much has been read. The line disappears at the end.
pub(super) struct Meter {
    what: &'static str,
    is_shown: bool,
}

impl Meter {
    pub(super) fn new(what: &'static str) -> Self {
        Self { what, is_shown: io::stderr().is_terminal() }
    }

    pub(super) fn show(&self, count: usize) {
        if self.is_shown {
            let _closed = write!(io::stderr(), "\rreading {}: {count} ", self.what);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if self.is_shown {
            let _closed = write!(io::stderr(), "\r\x1b[K");
        }
    }
}
