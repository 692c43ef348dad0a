//! SQLite.

mod file;
mod fixture;
mod history;
mod migration;

pub(crate) use fixture::{bus, jobs, store};
