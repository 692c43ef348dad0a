//! Reading a stream without a durable.

use std::time::{Duration, UNIX_EPOCH};

use async_nats::jetstream::Message as NatsMessage;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use common::bus::{BusError, HistoryStart, Page};
use common::clock::Timestamp;
use common::error::chain;
use common::events::Subject;
use futures_util::StreamExt;
use futures_util::stream::{self, Stream};
use tokio::time::timeout;
use tracing::warn;

use super::connection::{RESPONSE_TIMEOUT, Server};
use super::error::{no_response, unavailable};
use super::message::decode;

/// Messages to fetch at once.
const PAGE: usize = 1000;

/// A temporary consumer, which delivers each message once and in order.
pub(super) struct Reader<'a> {
    server: &'a Server,
    stream: &'a str,
    consumer: Consumer<pull::Config>,
    delivered: u64,
    pending: u64,
}

impl Server {
    /// Starts to read a stream. No subjects mean every subject.
    pub(super) async fn read<'a>(
        &'a self,
        stream: &'a str,
        subjects: &[Subject],
        start: HistoryStart,
    ) -> Result<Reader<'a>, BusError> {
        self.check_connected()?;
        let config = pull::Config {
            // Older servers deliver every event.
            filter_subjects: subjects.iter().map(|subject| subject.as_str().into()).collect(),
            deliver_policy: deliver_policy(start),
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            // In case the deletion fails.
            inactive_threshold: Duration::from_secs(30),
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, stream).await.map_err(unavailable)?;
        let pending = consumer.cached_info().num_pending;
        Ok(Reader { server: self, stream, consumer, delivered: 0, pending })
    }

    /// Reads the events of these subjects in pages, up to the end.
    pub(super) fn pages(
        &self,
        subjects: &'static [Subject],
        start: HistoryStart,
    ) -> impl Stream<Item = Result<Page, BusError>> {
        stream::try_unfold(None, move |reader| async move {
            let mut reader = match reader {
                Some(reader) => reader,
                None => self.read(&self.stream, subjects, start).await?,
            };
            let received = reader.next(PAGE).await?;
            if received.is_empty() {
                reader.close().await;
                return Ok(None);
            }
            Ok(Some((events(&received, subjects)?, Some(reader))))
        })
    }
}

impl Reader<'_> {
    /// Returns at most `limit` messages, or none at the end of the stream. The end is where the server has no more for
    /// this consumer: a page may be short for other reasons.
    pub(super) async fn next(&mut self, limit: usize) -> Result<Vec<NatsMessage>, BusError> {
        let mut messages = Vec::new();
        while messages.is_empty() && self.pending > 0 {
            messages = self.fetch(limit).await?;
            if messages.is_empty() {
                // The last ones may have been deleted.
                self.pending = self.consumer.get_info().await.map_err(unavailable)?.num_pending;
            }
        }
        Ok(messages)
    }

    async fn fetch(&mut self, limit: usize) -> Result<Vec<NatsMessage>, BusError> {
        let mut messages = Vec::new();
        let batch = self.consumer.fetch().max_messages(limit.min(PAGE)).messages();
        let mut batch = batch.await.map_err(unavailable)?;
        while let Some(message) = timeout(RESPONSE_TIMEOUT, batch.next()).await.map_err(|_| no_response())? {
            let message = message.map_err(unavailable)?;
            let info = message.info().map_err(unavailable)?;
            // The server does not redeliver what the connection has lost.
            if info.consumer_sequence != self.delivered + 1 {
                return Err(BusError::unavailable("messages were lost on the way from NATS"));
            }
            (self.delivered, self.pending) = (info.consumer_sequence, info.pending);
            messages.push(message);
        }
        Ok(messages)
    }

    /// Deletes the consumer.
    pub(super) async fn close(self) {
        let name = &self.consumer.cached_info().name;
        if let Err(error) = self.server.context.delete_consumer_from_stream(name, self.stream).await {
            warn!(error = chain(&error), "could not delete a temporary consumer, the server will");
        }
    }
}

fn deliver_policy(start: HistoryStart) -> DeliverPolicy {
    match start {
        HistoryStart::After(position) => DeliverPolicy::ByStartSequence { start_sequence: position.saturating_add(1) },
        HistoryStart::Since(time) => {
            let since_epoch = time.since(Timestamp::from_millis(0));
            DeliverPolicy::ByStartTime { start_time: (UNIX_EPOCH + since_epoch).into() }
        }
    }
}

fn events(received: &[NatsMessage], subjects: &[Subject]) -> Result<Page, BusError> {
    let mut page = Page::with_capacity(received.len());
    for message in received {
        let position = message.info().map_err(unavailable)?.stream_sequence;
        let subject = message.subject.parse().ok().filter(|subject| subjects.contains(subject));
        let Some(subject) = subject else { continue };
        match decode(message, subject) {
            Ok(event) => page.push((position, event)),
            Err(error) => {
                let error = chain(&error);
                warn!(%subject, position, error, "skipped an invalid message in the history");
            }
        }
    }
    Ok(page)
}
