use std::sync::Arc;

use async_trait::async_trait;
use common::contract::{Data, Fresh};
use common::jobs::DelayedJobs;
use common::jobs::redis::RedisJobs;
use common::testing::servers::{self, Server};

pub(crate) async fn jobs() -> Fresh<dyn DelayedJobs> {
    Some(Box::new(Redis(Server::start(servers::REDIS).await?)))
}

struct Redis(Server);

#[async_trait]
impl Data<dyn DelayedJobs> for Redis {
    async fn open(&self) -> Arc<dyn DelayedJobs> {
        let address = format!("127.0.0.1:{}", self.0.port()).into();
        Arc::new(RedisJobs::connect(&address, "expiration", "ticketing").await.expect("a connection"))
    }
}
