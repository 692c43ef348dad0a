//! The durable pull consumers, one per [`Durable`].

use std::time::Duration;

use async_nats::jetstream::consumer::{self, AckPolicy, Consumer, DeliverPolicy, Info, pull};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind};
use common::bus::{BusError, Durable, DurableProgress};
use futures_util::TryStreamExt;

use super::connection::Server;
use super::error::unavailable;
use super::streams::replay_subject;

/// How long the server waits for an ack before it redelivers a message. Readers extend this while a message is in
/// flight.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(10);

/// No limit of unsettled messages. Messages that wait for a retry count as well, and must never hold up others.
const MAX_ACK_PENDING: i64 = -1;

/// Metadata: the identity of the database that a consumer belongs to.
const OWNER: &str = "owner";

impl Server {
    /// Creates the consumer of a durable, or updates it. Refuses one that belongs to another owner.
    pub(super) async fn ensure_consumer(
        &self,
        durable: Durable,
        owner: Option<&str>,
    ) -> Result<Consumer<pull::Config>, BusError> {
        let mut config = pull::Config {
            durable_name: Some(durable.name.into()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        };
        if self.supports_replays() {
            config.filter_subjects = vec![durable.subject.as_str().into(), replay_subject(&self.stream, durable.name)];
        } else {
            config.filter_subject = durable.subject.as_str().into();
        }
        let existing = self.existing_consumer(durable).await?;
        if let Some(owner) = owner {
            self.check_owner(durable, owner, existing.as_ref())?;
            config.metadata.insert(OWNER.into(), owner.into());
        }
        let consumer = self.context.create_consumer_on_stream(config, &*self.stream).await.map_err(unavailable)?;
        if existing.is_none() {
            let stream = self.context.get_stream(&*self.stream).await.map_err(unavailable)?;
            durable.report_created(stream.cached_info().state.first_sequence, consumer.cached_info().num_pending);
        }
        Ok(consumer)
    }

    /// The progress of all durables, sorted by name.
    pub(super) async fn progress(&self) -> Result<Vec<DurableProgress>, BusError> {
        let stream = self.context.get_stream(&*self.stream).await.map_err(unavailable)?;
        let consumers: Vec<Info> = stream.consumers().try_collect().await.map_err(unavailable)?;
        let mut all: Vec<_> = consumers.into_iter().filter_map(progress).collect();
        all.sort_by(|a, b| a.durable.cmp(&b.durable));
        Ok(all)
    }

    /// The configuration of a durable's consumer, if there is one.
    async fn existing_consumer(&self, durable: Durable) -> Result<Option<consumer::Config>, BusError> {
        match self.context.get_consumer_from_stream::<pull::Config, _, _>(durable.name, &*self.stream).await {
            Ok(consumer) => Ok(Some(consumer.cached_info().config.clone())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    fn check_owner(&self, durable: Durable, owner: &str, existing: Option<&consumer::Config>) -> Result<(), BusError> {
        match existing.and_then(|config| config.metadata.get(OWNER)) {
            Some(other) if other != owner => Err(BusError::unusable(format!(
                "the durable {} of the stream {} belongs to the database {other}, not to {owner}; if two systems use \
                 one stream, give each its own NATS account or server; if the database was replaced, delete the durable",
                durable.name, self.stream
            ))),
            _ => Ok(()),
        }
    }
}

/// `None` for a temporary consumer. The server does not say which messages are unsettled, only which is the first.
fn progress(consumer: Info) -> Option<DurableProgress> {
    let position = match (consumer.num_ack_pending, consumer.num_pending) {
        (0, 0) => u64::MAX,
        (0, _) => consumer.delivered.stream_sequence,
        _ => consumer.ack_floor.stream_sequence,
    };
    Some(DurableProgress { durable: consumer.config.durable_name?, position, deferred: Vec::new() })
}

pub(super) fn is_missing(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if error.code() == 404)
}
