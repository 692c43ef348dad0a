//! Where the server sends the messages that a reader requests.
//!
//! Our own implementation of the pull protocol: when the pull stream of async-nats is dropped, it loses the messages
//! that it has prefetched, and the server redelivers them only after [`ACK_WAIT`]. An [`Inbox`] keeps messages that
//! arrive after a caller gave up, hands them to the next one, and can return all of them to the server.

use std::collections::VecDeque;
use std::time::Duration;

use async_nats::jetstream::Message as NatsMessage;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::{StatusCode, Subject, Subscriber};
use common::bus::BusError;
use futures_util::{FutureExt, StreamExt};
use tokio::time::Instant;
use tracing::warn;

use super::connection::Server;
use super::consumer::ACK_WAIT;
use super::error::{closed, unavailable};

/// How long the server keeps a pull request open. An idle listener sends a new one this often.
const PULL_EXPIRES: Duration = Duration::from_secs(5);

/// When to consider a pull request lost that was neither filled nor answered.
const PULL_LOST: Duration = Duration::from_secs(6);

/// How long to wait before repeating a request to a server that is shutting down or has lost leadership. An immediate
/// repetition would be refused as well.
const LEADER_CHANGE_PAUSE: Duration = Duration::from_millis(200);

/// The unfilled rest of a pull request that has ended.
const PENDING_MESSAGES: &str = "Nats-Pending-Messages";

/// The messages that the server has sent to one reader and that the reader has not handed out.
pub(super) struct Inbox {
    server: Server,
    consumer: Consumer<pull::Config>,
    address: String,
    subscriber: Subscriber,
    /// The connection that the subscription belongs to, as [`Server::connects`] counts them.
    connection: u64,
    /// Messages requested and not yet received.
    requested: usize,
    /// When to consider the requests lost.
    lost_at: Instant,
    /// Received messages with the time of arrival. More than a caller has room for can arrive after another caller gave
    /// up waiting.
    received: VecDeque<(Instant, NatsMessage)>,
}

impl Inbox {
    pub(super) async fn open(server: Server, consumer: Consumer<pull::Config>) -> Result<Self, BusError> {
        let connection = server.connects();
        let address = server.client.new_inbox();
        let subscriber = server.client.subscribe(address.clone()).await.map_err(unavailable)?;
        Ok(Self {
            server,
            consumer,
            address,
            subscriber,
            connection,
            requested: 0,
            lost_at: Instant::now(),
            received: VecDeque::new(),
        })
    }

    /// The oldest message, which stays until [`remove_first`](Self::remove_first).
    pub(super) fn first(&mut self) -> Option<&NatsMessage> {
        // The server has redelivered messages that were not acknowledged for this long.
        while self.received.pop_front_if(|(arrived, _)| arrived.elapsed() >= ACK_WAIT).is_some() {}
        self.received.front().map(|(_, message)| message)
    }

    pub(super) fn remove_first(&mut self) -> Option<NatsMessage> {
        self.received.pop_front().map(|(_, message)| message)
    }

    /// Takes what has arrived without waiting. Opens a new inbox if the connection was replaced, since the server has
    /// forgotten the requests made on the old one.
    pub(super) async fn poll(&mut self) -> Result<(), BusError> {
        let connection = self.server.connects();
        if self.connection != connection {
            let address = self.server.client.new_inbox();
            let subscriber = self.server.client.subscribe(address.clone()).await.map_err(unavailable)?;
            let mut previous = std::mem::replace(&mut self.subscriber, subscriber);
            self.address = address;
            self.connection = connection;
            while let Some(Some(message)) = previous.next().now_or_never() {
                self.receive(message)?;
            }
            self.requested = 0;
        }
        while let Some(Some(message)) = self.subscriber.next().now_or_never() {
            self.receive(message)?;
        }
        Ok(())
    }

    /// Requests messages until `limit` are on their way. Does nothing until half of them are missing, so that a busy
    /// reader does not request messages one by one.
    pub(super) async fn request(&mut self, limit: usize) -> Result<(), BusError> {
        if self.requested * 2 > limit {
            return Ok(());
        }
        let batch = limit - self.requested;
        let request = pull::BatchConfig { batch, expires: Some(PULL_EXPIRES), ..pull::BatchConfig::default() };
        self.consumer.request_batch(request, self.address.clone().into()).await.map_err(unavailable)?;
        self.requested += batch;
        self.lost_at = Instant::now() + PULL_LOST;
        Ok(())
    }

    /// When to consider the requests lost.
    pub(super) fn lost_at(&self) -> Instant {
        self.lost_at
    }

    /// Opens a new inbox at the next [`poll`](Self::poll).
    pub(super) fn reset(&mut self) {
        self.connection = 0;
    }

    /// Waits for one message. Cancel safe.
    pub(super) async fn wait(&mut self) -> Result<(), BusError> {
        let message = self.subscriber.next().await.ok_or_else(closed)?;
        self.receive(message)
    }

    /// Removes the messages that were not handed out, and returns their reply subjects.
    pub(super) fn drain_received(&mut self) -> Vec<Subject> {
        self.received.drain(..).filter_map(|(_, message)| message.message.reply).collect()
    }

    /// Unsubscribes, and returns the reply subjects of the messages that were still on their way.
    pub(super) async fn unsubscribe(&mut self) -> Vec<Subject> {
        let mut replies = Vec::new();
        if self.subscriber.drain().await.is_ok() {
            while let Some(message) = self.subscriber.next().await {
                if message.status.is_none() {
                    replies.extend(message.reply);
                }
            }
        }
        replies
    }

    /// Stores a message, or evaluates a status that the server sent instead.
    fn receive(&mut self, message: async_nats::Message) -> Result<(), BusError> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.requested = self.requested.saturating_sub(1);
                let message = NatsMessage { message, context: self.server.context.clone() };
                if message.info().is_ok() {
                    self.received.push_back((Instant::now(), message));
                } else {
                    warn!("dropped a message that does not come from the stream");
                }
                Ok(())
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(()),
            Some(status) => self.request_ended(status, &message),
        }
    }

    fn request_ended(&mut self, status: StatusCode, message: &async_nats::Message) -> Result<(), BusError> {
        let unfilled = message.headers.as_ref().and_then(|headers| headers.get(PENDING_MESSAGES));
        let description = message.description.as_deref().unwrap_or("no description");
        if let Some(unfilled) = unfilled.and_then(|unfilled| unfilled.as_str().parse::<usize>().ok()) {
            self.requested = self.requested.saturating_sub(unfilled);
        } else if description.contains("Shutdown") || description.contains("Leadership") {
            self.lost_at = Instant::now() + LEADER_CHANGE_PAUSE;
        } else {
            self.requested = 0;
            return Err(BusError::unavailable(format!("NATS refused to deliver messages: {status} {description}")));
        }
        Ok(())
    }
}
