//! One reader of a durable.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::{Consumer, pull};
use async_nats::jetstream::{AckKind, Message as Arrival};
use async_nats::{StatusCode, Subscriber};
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::warn;

use super::connection::{ANSWER, Server};
use super::{message, unavailable};
use common::bus::{BusError, Delivery, Durable, Subscription, Verdict};

/// How long the server lets a reader hold a message without a word from it, before it delivers it again.
pub(super) const ACK_WAIT: Duration = Duration::from_secs(10);

/// When to try again to make a dead letter of what could not be made one.
const PUT_ASIDE_AGAIN: Duration = Duration::from_secs(5);

/// How often a reader says that it is still at work on what it holds.
const PROGRESS: Duration = Duration::from_secs(3);

/// How long a request for messages waits at the server. Each listener asks again so often while nothing happens.
const PULL_EXPIRES: Duration = Duration::from_secs(5);

/// When a request for messages that was neither filled nor answered counts as lost.
const PULL_LOST: Duration = Duration::from_secs(6);

const PENDING_MESSAGES: &str = "Nats-Pending-Messages";

/// One reader of a durable.
pub(super) struct NatsSubscription {
    server: Server,
    durable: Durable,
    held: Arc<Held>,
    inbox: Arc<tokio::sync::Mutex<Inbox>>,
    progress: AbortHandle,
}

/// What was handed out and is not settled, by token.
#[derive(Default)]
struct Held {
    tokens: AtomicU64,
    arrivals: Mutex<HashMap<u64, Arrival>>,
}

impl Held {
    fn insert(&self, arrival: Arrival) -> u64 {
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(token, arrival);
        token
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Arrival>> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn replies(&self) -> Vec<async_nats::Subject> {
        self.lock().values().filter_map(|arrival| arrival.reply.clone()).collect()
    }
}

/// Where the server sends what the reader asks for.
struct Inbox {
    consumer: Consumer<pull::Config>,
    address: String,
    subscriber: Subscriber,
    /// Which connection it was asked on.
    connects: u64,
    /// How many messages were asked for and have not come.
    wanted: usize,
    /// When what is wanted counts as lost.
    lost_at: Instant,
    /// What has come and is not handed out, with the time it came. It comes in surplus when a caller gave up
    /// waiting, or has less room than it had.
    arrived: VecDeque<(Instant, Arrival)>,
}

impl NatsSubscription {
    pub(super) async fn open(
        server: Server,
        durable: Durable,
        consumer: Consumer<pull::Config>,
    ) -> Result<Self, BusError> {
        let connects = server.connects();
        let address = server.client.new_inbox();
        let subscriber = server.client.subscribe(address.clone()).await.map_err(unavailable)?;
        let arrived = VecDeque::new();
        let inbox = Inbox { consumer, address, subscriber, connects, wanted: 0, lost_at: Instant::now(), arrived };
        let held = Arc::<Held>::default();
        let progress = tokio::spawn(keep(server.clone(), held.clone())).abort_handle();
        Ok(Self { server, durable, held, inbox: Arc::new(inbox.into()), progress })
    }

    /// Hands out what has arrived.
    async fn take(&self, inbox: &mut Inbox, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let mut deliveries = Vec::new();
        // What waited here for too long has been delivered to somebody else.
        while inbox.arrived.pop_front_if(|(came, _)| came.elapsed() >= ACK_WAIT).is_some() {}
        while deliveries.len() < limit
            && let Some((_, arrival)) = inbox.arrived.front()
        {
            match message(arrival, self.durable.subject) {
                Ok(message) => {
                    let attempt = arrival.info().map_or(1, |info| u32::try_from(info.delivered).unwrap_or(u32::MAX));
                    let Some((_, arrival)) = inbox.arrived.pop_front() else { break };
                    deliveries.push(Delivery { token: self.held.insert(arrival), attempt, message });
                }
                // Later: what is handed out already must not be lost if the caller gives up while this takes its time.
                Err(_) if !deliveries.is_empty() => break,
                Err(why) => {
                    warn!(listener = self.durable.name, why, "put aside as a dead letter");
                    self.put_aside(arrival, why).await?;
                    inbox.arrived.pop_front();
                }
            }
        }
        Ok(deliveries)
    }
}

impl NatsSubscription {
    /// Makes a message a dead letter. While that can not be done it is put off, and holds up no other.
    async fn put_aside(&self, arrival: &Arrival, reason: &str) -> Result<(), BusError> {
        let Err(error) = self.server.put_aside(arrival, self.durable, reason).await else { return Ok(()) };
        self.server.connected()?;
        let listener = self.durable.name;
        warn!(listener, reason, %error, "could not be put aside as a dead letter; will be delivered again");
        match arrival.reply.clone() {
            Some(reply) => self.server.send(reply, AckKind::Nak(Some(PUT_ASIDE_AGAIN)).into()).await,
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Subscription for NatsSubscription {
    async fn next(&self, limit: usize) -> Result<Vec<Delivery>, BusError> {
        let mut inbox = self.inbox.lock().await;
        let mut changes = self.server.changes.clone();
        loop {
            changes.mark_unchanged();
            inbox.renew(&self.server).await?;
            while let Some(Some(message)) = inbox.subscriber.next().now_or_never() {
                inbox.accept(message, &self.server)?;
            }
            let deliveries = self.take(&mut inbox, limit).await?;
            if !deliveries.is_empty() {
                return Ok(deliveries);
            }
            // Not for every single message there is room for: half of them together.
            let connected = self.server.connected().is_ok();
            let wanted = inbox.wanted;
            if connected && wanted * 2 <= limit {
                inbox.ask(limit - wanted).await?;
            }
            let lost_at = inbox.lost_at;
            tokio::select! {
                message = inbox.subscriber.next() => match message {
                    Some(message) => inbox.accept(message, &self.server)?,
                    None => return Err(BusError::unavailable("the connection to NATS was closed")),
                },
                changed = changes.changed() => changed.map_err(|_| BusError::unavailable("the connection to NATS was closed"))?,
                () = sleep_until(lost_at), if connected => inbox.connects = 0,
            }
        }
    }

    async fn settle(&self, delivery: &Delivery, verdict: Verdict) -> Result<(), BusError> {
        let kind = match verdict {
            Verdict::Ack => AckKind::Ack,
            Verdict::Retry(delay) => AckKind::Nak((!delay.is_zero()).then_some(delay)),
            Verdict::Reject(reason) => {
                let arrival = self.held.lock().get(&delivery.token).cloned();
                if let Some(arrival) = arrival {
                    self.put_aside(&arrival, &reason).await?;
                    self.held.lock().remove(&delivery.token);
                }
                return Ok(());
            }
        };
        // Nobody waits for the server here: should this get lost, the message is delivered again.
        let reply = self.held.lock().remove(&delivery.token).and_then(|arrival| arrival.message.reply);
        match reply {
            Some(reply) => self.server.send(reply, kind.into()).await,
            None => Ok(()),
        }
    }
}

impl Inbox {
    /// Begins anew on a new connection: the server has forgotten what it was asked for on another.
    async fn renew(&mut self, server: &Server) -> Result<(), BusError> {
        let connects = server.connects();
        if self.connects == connects {
            return Ok(());
        }
        let address = server.client.new_inbox();
        let subscriber = server.client.subscribe(address.clone()).await.map_err(unavailable)?;
        let mut before = std::mem::replace(&mut self.subscriber, subscriber);
        self.address = address;
        self.connects = connects;
        while let Some(Some(message)) = before.next().now_or_never() {
            self.accept(message, server)?;
        }
        self.wanted = 0;
        Ok(())
    }

    async fn ask(&mut self, many: usize) -> Result<(), BusError> {
        let request = pull::BatchConfig { batch: many, expires: Some(PULL_EXPIRES), ..pull::BatchConfig::default() };
        self.consumer.request_batch(request, self.address.clone().into()).await.map_err(unavailable)?;
        self.wanted += many;
        self.lost_at = Instant::now() + PULL_LOST;
        Ok(())
    }

    /// Takes in a message, or what the server says instead of one.
    fn accept(&mut self, message: async_nats::Message, server: &Server) -> Result<(), BusError> {
        match message.status {
            None | Some(StatusCode::OK) => {
                self.wanted = self.wanted.saturating_sub(1);
                let arrival = Arrival { message, context: server.context.clone() };
                if arrival.info().is_ok() {
                    self.arrived.push_back((Instant::now(), arrival));
                } else {
                    warn!("a message that is not from the stream was sent to a reader; dropped");
                }
                Ok(())
            }
            Some(StatusCode::IDLE_HEARTBEAT) => Ok(()),
            Some(status) => {
                let unfilled = message.headers.as_ref().and_then(|headers| headers.get(PENDING_MESSAGES));
                let description = message.description.as_deref().unwrap_or_default();
                if let Some(unfilled) = unfilled.and_then(|many| many.as_str().parse::<usize>().ok()) {
                    self.wanted = self.wanted.saturating_sub(unfilled);
                } else if description.contains("Shutdown") || description.contains("Leadership") {
                    // Another server takes over. Asked again at once, this one would say the same again.
                    self.lost_at = Instant::now() + Duration::from_millis(200);
                } else {
                    self.wanted = 0;
                    return Err(BusError::unavailable(format!("NATS delivers nothing: {status} {description}")));
                }
                Ok(())
            }
        }
    }
}

impl Drop for NatsSubscription {
    fn drop(&mut self) {
        self.progress.abort();
        let (server, held, inbox) = (self.server.clone(), self.held.clone(), self.inbox.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(ANSWER, hand_on(server, held, inbox)));
        }
    }
}

/// Returns what was not settled, also what is still on its way, so that it is delivered to somebody else at once.
async fn hand_on(server: Server, held: Arc<Held>, inbox: Arc<tokio::sync::Mutex<Inbox>>) {
    let replies = held.replies();
    let mut inbox = inbox.lock().await;
    let arrived = inbox.arrived.drain(..).filter_map(|(_, arrival)| arrival.message.reply).collect::<Vec<_>>();
    for reply in replies.into_iter().chain(arrived) {
        // What can not be returned is delivered again a little later.
        let _lost = server.send(reply, AckKind::Nak(None).into()).await;
    }
    if inbox.subscriber.drain().await.is_ok() {
        while let Some(message) = inbox.subscriber.next().await {
            if let (None, Some(reply)) = (message.status, message.reply) {
                let _lost = server.send(reply, AckKind::Nak(None).into()).await;
            }
        }
    }
    let _lost = server.client.flush().await;
}

/// Tells the server every now and then that what is held is being worked on.
async fn keep(server: Server, held: Arc<Held>) {
    let mut ticks = tokio::time::interval(PROGRESS);
    loop {
        ticks.tick().await;
        if server.connected().is_ok() {
            for reply in held.replies() {
                let _lost = server.send(reply, AckKind::Progress.into()).await;
            }
        }
    }
}
