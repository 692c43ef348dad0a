//! NATS JetStream.

mod connections;
mod durables;
mod fixture;
mod foreign;
mod history;
mod outages;
mod retention;
mod streams;

pub(crate) use fixture::{bus, connect};
