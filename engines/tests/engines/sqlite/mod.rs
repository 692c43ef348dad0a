//! SQLite.

mod file;
mod fixture;
mod history;
mod migration;
mod retention;

pub(crate) use fixture::{bus, jobs, store};
