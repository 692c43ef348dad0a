//! NATS JetStream.

mod connections;
mod fixture;
mod foreign;
mod outages;
mod streams;

pub(crate) use fixture::{bus, connect};
