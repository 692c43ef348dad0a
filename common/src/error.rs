//! Errors and their causes.

use std::error::Error;

/// An error of any type, as the cause of another.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Formats an error and its causes on one line, skipping what a cause repeats.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
