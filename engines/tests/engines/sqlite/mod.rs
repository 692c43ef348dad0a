//! SQLite.

mod file;
mod fixture;

pub(crate) use fixture::{bus, jobs, store};
