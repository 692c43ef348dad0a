use std::sync::Arc;

use async_trait::async_trait;
use common::bus::Bus;
use common::bus::nats::{NatsBus, NatsConfig};
use common::contract::{Data, Fresh};
use common::testing::servers::{self, Server};

pub(crate) async fn bus() -> Fresh<dyn Bus> {
    Some(Box::new(Nats(Server::start(servers::NATS).await?)))
}

struct Nats(Server);

#[async_trait]
impl Data<dyn Bus> for Nats {
    async fn open(&self) -> Arc<dyn Bus> {
        let config = NatsConfig {
            url: format!("nats://127.0.0.1:{}", self.0.port()).into(),
            client: "test".into(),
            stream: "ticketing".into(),
            replicas: None,
            owner: None,
        };
        Arc::new(NatsBus::connect(&config).await.expect("a connection"))
    }
}
