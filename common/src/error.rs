//! Helpers for errors and their causes.

use std::error::Error;

/// An error of any type, usually the source of another.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Formats an error and its sources on one line. Skips a source whose text is already there.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    for source in std::iter::successors(error.source(), |&error| error.source()) {
        let source = source.to_string();
        if !text.contains(&source) {
            text = format!("{text}: {source}");
        }
    }
    text
}
