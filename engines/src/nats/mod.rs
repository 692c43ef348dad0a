//! The bus on NATS JetStream: one stream with all events, and a durable pull consumer for each [`Durable`].
//!
//! The stream's subjects are the names of the events. It keeps them for the configured time, so that a new service can
//! catch up on history. Rejected events go to a second stream, `<stream>-dead-letters`, which keeps them. A replayed
//! dead letter returns to the first stream with the subject `<stream>-replays.<durable>`, which only that durable reads.
//!
//! A reader requests as many messages as it has room for, and reports progress on those in flight every few seconds. So
//! the server redelivers the messages of a dead process within ten seconds, however long its handlers would have taken.
//!
//! A confirmed event is in a file of the server, but a single server syncs its files only every two minutes, unless it
//! is configured with `sync_interval: always`. A crash of the server's process loses nothing; that setting or replicas
//! protect against power failures.

mod config;
mod connection;
mod consumer;
mod dead_letters;
mod error;
mod history;
mod inbox;
mod lag;
mod message;
mod streams;
mod subscription;

use std::collections::VecDeque;
use std::time::Duration;

use async_trait::async_trait;
use common::bus::{
    Bus, BusError, DeadLetter, Durable, DurableProgress, HistoryStart, Page, Publisher, Receipt, Subscription,
};
use common::events::{Message, Subject};
use futures_util::stream::BoxStream;
use tracing::warn;

use connection::{PUBLISH_WINDOW, Server, confirm};
use dead_letters::decode_dead_letter;
use error::{StreamError, unavailable};
use message::encode;
use streams::{dead_letter_stream, dead_letter_stream_name, events_stream};
use subscription::NatsSubscription;

pub use config::NatsConfig;

/// The bus on a NATS server.
pub struct NatsBus {
    server: Server,
    owner: Option<String>,
    retention: Option<Duration>,
}

impl NatsBus {
    /// Connects, and creates or updates the streams.
    ///
    /// Fails if the server cannot be reached, or if an existing stream is not ours to use.
    pub async fn connect(config: &NatsConfig) -> Result<Self, BusError> {
        let bus = Self::open(config).await?;
        bus.server.ensure_stream(events_stream(config)).await?;
        bus.server.ensure_stream(dead_letter_stream(config)).await?;
        Ok(bus)
    }

    /// Connects to existing streams without changing them. For tools.
    pub async fn connect_to_existing(config: &NatsConfig) -> Result<Self, BusError> {
        let bus = Self::open(config).await?;
        for name in [config.stream.clone(), dead_letter_stream_name(&config.stream)] {
            bus.server.context.get_stream(&name).await.map_err(|error| StreamError::read(&name, error))?;
        }
        Ok(bus)
    }

    async fn open(config: &NatsConfig) -> Result<Self, BusError> {
        let (owner, retention) = (config.owner.clone(), config.retention);
        Ok(Self { server: Server::connect(config).await?, owner, retention })
    }

    /// Distinguishes the events of this system from those of all others: the stream's name and its time of creation.
    pub async fn identity(&self) -> Result<String, BusError> {
        let Server { context, stream, .. } = &self.server;
        let info = context.get_stream(&**stream).await.map_err(|error| StreamError::read(stream, error))?;
        Ok(format!("{stream}/{}", info.cached_info().created.unix_timestamp_nanos()))
    }
}

#[async_trait]
impl Publisher for NatsBus {
    async fn publish(&self, messages: &[Message]) -> Result<Option<Receipt>, BusError> {
        self.server.check_connected()?;
        let mut acks = VecDeque::with_capacity(messages.len().min(PUBLISH_WINDOW));
        for message in messages {
            if acks.len() == PUBLISH_WINDOW
                && let Some(ack) = acks.pop_front()
            {
                confirm(ack).await?;
            }
            let published = self.server.context.send_publish(message.subject.as_str(), encode(message)).await;
            acks.push_back(published.map_err(unavailable)?);
        }
        let mut position = 0;
        for ack in acks {
            position = confirm(ack).await?;
        }
        let connection = self.server.connects();
        Ok(messages.last().map(|last| Receipt { position, message_id: last.id.clone(), connection }))
    }

    async fn has(&self, receipt: &Receipt) -> Result<bool, BusError> {
        self.server.check_connected()?;
        self.server.has(receipt).await
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError> {
        self.server.check_connected()?;
        let consumer = self.server.ensure_consumer(durable, self.owner.as_deref()).await?;
        Ok(Box::new(NatsSubscription::open(self.server.clone(), durable, consumer).await?))
    }

    fn history(&self, subjects: &'static [Subject], start: HistoryStart) -> BoxStream<'_, Result<Page, BusError>> {
        Box::pin(self.server.pages(subjects, start))
    }

    async fn progress(&self) -> Result<Vec<DurableProgress>, BusError> {
        self.server.check_connected()?;
        self.server.progress().await
    }

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        let Ok(after) = after.map_or(Ok(0), str::parse) else { return Ok(Vec::new()) };
        let stream = dead_letter_stream_name(&self.server.stream);
        let mut reader = self.server.read(&stream, &[], HistoryStart::After(after)).await?;
        let mut dead_letters = Vec::new();
        while dead_letters.len() < limit {
            let page = reader.next(limit - dead_letters.len()).await?;
            if page.is_empty() {
                break;
            }
            for received in &page {
                let position = received.info().map_err(unavailable)?.stream_sequence;
                match decode_dead_letter(received, position) {
                    Some(dead_letter) => dead_letters.push(dead_letter),
                    None => warn!(stream, subject = %received.subject, "skipped a message that is not a dead letter"),
                }
            }
        }
        reader.close().await;
        Ok(dead_letters)
    }

    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        let Some(dead_letter) = self.server.find_dead_letter(id).await? else { return Ok(false) };
        self.server.replay(&dead_letter).await?;
        dead_letter.delete().await
    }

    async fn drop_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        match self.server.find_dead_letter(id).await? {
            Some(dead_letter) => dead_letter.delete().await,
            None => Ok(false),
        }
    }

    async fn lag(&self, durable: Durable) -> Result<Duration, BusError> {
        self.server.lag(durable).await
    }

    fn retention(&self) -> Option<Duration> {
        self.retention
    }

    async fn delete_old_events(&self, _: &[Durable]) -> Result<(), BusError> {
        // The server does.
        Ok(())
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.server.check_connected()?;
        self.server.context.get_stream(&*self.server.stream).await.map(|_| ()).map_err(unavailable)
    }
}
