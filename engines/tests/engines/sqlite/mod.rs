//! SQLite.

mod file;
mod fixture;
mod history;

pub(crate) use fixture::{bus, jobs, store};
