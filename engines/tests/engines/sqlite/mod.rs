//! SQLite.

mod file;
mod fixture;
mod migration;

pub(crate) use fixture::{bus, jobs, store};
