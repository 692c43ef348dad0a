//! SQLite.

mod file;
mod fixture;
mod retention;

pub(crate) use fixture::{bus, jobs, store};
