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
        Arc::new(connect(self.0.port()).await)
    }
}

pub(crate) async fn connect(port: u16) -> RedisJobs {
    RedisJobs::connect(&format!("127.0.0.1:{port}").into(), "expiration").await.unwrap()
}
