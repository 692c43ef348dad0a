//! Reading a stream without a durable.

use std::time::Duration;

use async_nats::jetstream::Message as NatsMessage;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use common::bus::BusError;
use common::error::chain;
use futures_util::StreamExt;
use tokio::time::timeout;
use tracing::warn;

use super::connection::{RESPONSE_TIMEOUT, Server};
use super::error::{no_response, unavailable};

/// Messages to fetch at once.
const PAGE: usize = 1000;

impl Server {
    /// Reads at most `limit` messages that come after position `after`. An empty subject means every subject.
    pub(super) async fn read_stream(
        &self,
        stream: &str,
        subject: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NatsMessage>, BusError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let config = pull::Config {
            filter_subject: subject.into(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            // In case the deletion below fails.
            inactive_threshold: Duration::from_secs(30),
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, stream).await.map_err(unavailable)?;
        let mut messages = Vec::new();
        loop {
            let (before, page) = (messages.len(), PAGE.min(limit - messages.len()));
            let mut batch = consumer.fetch().max_messages(page).messages().await.map_err(unavailable)?;
            while let Some(message) = timeout(RESPONSE_TIMEOUT, batch.next()).await.map_err(|_| no_response())? {
                messages.push(message.map_err(unavailable)?);
            }
            if messages.len() == limit || messages.len() - before < page {
                break;
            }
        }
        let name = &consumer.cached_info().name;
        if let Err(error) = self.context.delete_consumer_from_stream(name, stream).await {
            warn!(error = chain(&error), "could not delete a temporary consumer, the server will");
        }
        Ok(messages)
    }
}
