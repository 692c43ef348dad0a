//! Buses on a NATS server of their own.

use std::sync::Arc;

use async_nats::jetstream;
use async_trait::async_trait;
use common::bus::Bus;
use common::error::chain;
use engines::nats::{NatsBus, NatsConfig};
use testing::contract::{Data, Fresh};
use testing::servers::{NATS, Server};

pub(crate) async fn bus() -> Fresh<dyn Bus> {
    Some(Box::new(Nats(Server::start(NATS).await?)))
}

struct Nats(Server);

#[async_trait]
impl Data<dyn Bus> for Nats {
    async fn open(&self) -> Arc<dyn Bus> {
        connect(self.0.port()).await
    }
}

pub(super) fn config(port: u16) -> NatsConfig {
    NatsConfig::new(format!("nats://127.0.0.1:{port}").into(), "test", "ticketing")
}

pub(crate) async fn connect(port: u16) -> Arc<NatsBus> {
    Arc::new(NatsBus::connect(&config(port)).await.expect("a connection"))
}

/// The server through the bare driver.
pub(super) async fn raw(port: u16) -> jetstream::Context {
    jetstream::new(async_nats::connect(format!("127.0.0.1:{port}")).await.expect("a connection"))
}

/// The error of a connection that must fail, with its causes.
pub(super) async fn refusal(config: &NatsConfig) -> String {
    match NatsBus::connect(config).await {
        Ok(_) => panic!("it connected"),
        Err(error) => chain(&error),
    }
}
