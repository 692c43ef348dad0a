//! The output of commands.

use std::io::{self, Write};

/// Replaces control characters: the text fits on one line and cannot send commands to the terminal.
pub(crate) fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Writes to standard output. A reader that has closed it, as `head` does, is not an error.
pub(crate) fn write(text: &str) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}
