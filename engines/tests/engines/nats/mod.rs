//! NATS JetStream.

mod connections;
mod durables;
mod fixture;
mod foreign;
mod outages;
mod retention;
mod streams;

pub(crate) use fixture::bus;
