//! The readers of a durable.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::Subject;
use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::{AckKind, Message as NatsMessage};
use async_trait::async_trait;
use common::bus::{BusError, Delivery, Durable, Subscription, Verdict};
use common::error::chain;
use tokio::task::AbortHandle;
use tokio::time::{sleep_until, timeout};
use tracing::warn;

use super::connection::{RESPONSE_TIMEOUT, Server};
use super::error::closed;
use super::inbox::Inbox;
use super::message::decode;

/// How often a reader extends the time that the server waits for its deliveries: a third of
/// [`ACK_WAIT`](super::consumer::ACK_WAIT).
const PROGRESS_INTERVAL: Duration = Duration::from_secs(3);

/// When to redeliver a message that could not be stored as a dead letter.
const DEAD_LETTER_RETRY: Duration = Duration::from_secs(5);

/// One reader of a durable.
pub(super) struct NatsSubscription {
    server: Server,
    durable: Durable,
    in_flight: Arc<InFlight>,
    inbox: Arc<tokio::sync::Mutex<Inbox>>,
    progress: AbortHandle,
}

/// Deliveries that are not settled, by token.
#[derive(Default)]
struct InFlight {
    next_token: AtomicU64,
    messages: Mutex<HashMap<u64, NatsMessage>>,
}

impl InFlight {
    fn insert(&self, message: NatsMessage) -> u64 {
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(token, message);
        token
    }

    fn get(&self, token: u64) -> Option<NatsMessage> {
        self.lock().get(&token).cloned()
    }

    fn remove(&self, token: u64) -> Option<NatsMessage> {
        self.lock().remove(&token)
    }

    fn replies(&self) -> Vec<Subject> {
        self.lock().values().filter_map(|message| message.reply.clone()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, NatsMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NatsSubscription {
    pub(super) async fn open(
        server: Server,
        durable: Durable,
        consumer: Consumer<pull::Config>,
    ) -> Result<Self, BusError> {
        let inbox = Arc::new(Inbox::open(server.clone(), consumer).await?.into());
        let in_flight = Arc::<InFlight>::default();
        let progress = tokio::spawn(report_progress(server.clone(), in_flight.clone())).abort_handle();
        Ok(Self { server, durable, in_flight, inbox, progress })
    }

    /// Takes messages that have arrived. Those that are not events become dead letters.
    async fn take(&self, inbox: &mut Inbox, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let mut deliveries = Vec::new();
        while deliveries.len() < limit
            && let Some(received) = inbox.first()
        {
            match decode(received, self.durable.subject) {
                Ok(message) => {
                    let attempt = received.info().map_or(1, |info| u32::try_from(info.delivered).unwrap_or(u32::MAX));
                    let Some(received) = inbox.remove_first() else { break };
                    deliveries.push(Delivery { token: self.in_flight.insert(received), attempt, message });
                }
                // Storing it takes time, and the deliveries taken so far would be lost if the caller gave up meanwhile.
                Err(_) if !deliveries.is_empty() => break,
                Err(invalid) => {
                    let reason = invalid.to_string();
                    warn!(
                        listener = self.durable.name,
                        error = chain(&invalid),
                        "invalid message, storing it as a dead letter"
                    );
                    self.store_dead_letter(received, &reason).await?;
                    inbox.remove_first();
                }
            }
        }
        Ok(deliveries)
    }

    /// Stores a message as a dead letter. If that fails, it is redelivered later and does not hold up others.
    async fn store_dead_letter(&self, received: &NatsMessage, reason: &str) -> Result<(), BusError> {
        let Err(error) = self.server.store_dead_letter(received, self.durable, reason).await else { return Ok(()) };
        self.server.check_connected()?;
        let listener = self.durable.name;
        warn!(listener, reason, error = chain(&error), "could not store a dead letter, will retry");
        match received.reply.clone() {
            Some(reply) => self.server.send(reply, AckKind::Nak(Some(DEAD_LETTER_RETRY)).into()).await,
            None => Ok(()),
        }
    }

    async fn reject(&self, token: u64, reason: &str) -> Result<(), BusError> {
        if let Some(received) = self.in_flight.get(token) {
            self.store_dead_letter(&received, reason).await?;
            self.in_flight.remove(token);
        }
        Ok(())
    }

    /// Does not wait for the server: if the acknowledgement is lost, the message is redelivered.
    async fn acknowledge(&self, token: u64, kind: AckKind) -> Result<(), BusError> {
        match self.in_flight.remove(token).and_then(|received| received.message.reply) {
            Some(reply) => self.server.send(reply, kind.into()).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Subscription for NatsSubscription {
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let mut inbox = self.inbox.lock().await;
        let mut connection_changes = self.server.connection_changes.clone();
        loop {
            connection_changes.mark_unchanged();
            inbox.poll().await?;
            let deliveries = self.take(&mut inbox, limit).await?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            let is_connected = self.server.check_connected().is_ok();
            if is_connected {
                inbox.request(limit).await?;
            }
            let lost_at = inbox.lost_at();
            tokio::select! {
                received = inbox.wait() => received?,
                changed = connection_changes.changed() => changed.map_err(|_| closed())?,
                () = sleep_until(lost_at), if is_connected => inbox.reset(),
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError> {
        match verdict {
            Verdict::Ack => self.acknowledge(delivery.token, AckKind::Ack).await,
            Verdict::Retry(delay) => {
                let delay = (!delay.is_zero()).then_some(delay);
                self.acknowledge(delivery.token, AckKind::Nak(delay)).await
            }
            Verdict::Reject(reason) => self.reject(delivery.token, &reason).await,
        }
    }
}

impl Drop for NatsSubscription {
    fn drop(&mut self) {
        self.progress.abort();
        let (server, in_flight, inbox) = (self.server.clone(), self.in_flight.clone(), self.inbox.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(RESPONSE_TIMEOUT, release(server, in_flight, inbox)));
        }
    }
}

/// Returns unsettled messages, including those still on their way, so that another reader gets them at once. A message
/// that cannot be returned is redelivered a little later.
async fn release(server: Server, in_flight: Arc<InFlight>, inbox: Arc<tokio::sync::Mutex<Inbox>>) {
    nak_all(&server, in_flight.replies()).await;
    let mut inbox = inbox.lock().await;
    nak_all(&server, inbox.drain_received()).await;
    nak_all(&server, inbox.unsubscribe().await).await;
    let _lost = server.client.flush().await;
}

async fn nak_all(server: &Server, replies: Vec<Subject>) {
    for reply in replies {
        let _lost = server.send(reply, AckKind::Nak(None).into()).await;
    }
}

/// Tells the server at intervals that the deliveries in flight are being worked on.
async fn report_progress(server: Server, in_flight: Arc<InFlight>) {
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    loop {
        ticks.tick().await;
        if server.check_connected().is_ok() {
            for reply in in_flight.replies() {
                let _lost = server.send(reply, AckKind::Progress.into()).await;
            }
        }
    }
}
