//! The output of commands.

use std::io::{self, Write};

use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

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

/// Shows on a terminal how many of `total` are read. Disappears when it is dropped.
pub(crate) fn progress_bar(total: u64) -> ProgressBar {
    progress(ProgressBar::new(total), "{bar:40} {human_pos} of {human_len} read, {eta} left")
}

/// Shows on a terminal how many of something are read. Disappears when it is dropped.
pub(crate) fn progress_counter(what: &'static str) -> ProgressBar {
    progress(ProgressBar::new_spinner().with_message(what), "{spinner} {human_pos} {msg} read")
}

fn progress(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_finish(ProgressFinish::AndClear)
}
