//! Redis.

mod connections;
mod fixture;
mod keys;
mod outages;

pub(crate) use fixture::jobs;
