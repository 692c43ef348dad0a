//! The bus on NATS JetStream: one stream with all events, and a durable pull consumer for every [`Durable`].
//!
//! The stream's subjects are the names of the events. It keeps every event, so that a new service catches up on
//! history. What a listener rejects goes to a second stream, `<stream>-dead-letters`; replayed, it comes back under
//! `<stream>-replays.<durable>`, a subject of the first stream that this durable alone reads.
//!
//! A reader asks the server for as many messages as it has room for, and holds them by telling the server every few
//! seconds that it is still at work. So a process that dies gives up what it held within ten seconds, however long its
//! handlers might have taken.
//!
//! An event is on the server's disk once it is acknowledged, but a lone server writes it through to the medium only
//! every two minutes unless it is configured with `sync_interval: always`. A crash of the process loses nothing; against
//! power failures there are that setting and replicas.

mod connection;
mod dead_letters;
mod reader;
mod streams;

use std::collections::VecDeque;
use std::num::NonZeroU64;

use async_nats::HeaderMap;
use async_nats::jetstream::Message as Arrival;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{ConsumerError, ConsumerErrorKind, RawMessageErrorKind, Stream};
use async_trait::async_trait;
use common::bus::{Bus, BusError, DeadLetter, Durable, Publisher, Subscription};
use common::error::BoxError;
use common::events::{Message, Subject};
use common::trace::TraceParent;
use secrecy::SecretString;
use tracing::warn;

use connection::Server;
use dead_letters::{ATTEMPTS, LISTENER, ORIGINAL_ID, REASON, SUBJECT, dead_letter};
use reader::{ACK_WAIT, NatsSubscription};
use streams::{dead_letter_stream, dead_letters_of, events_stream, replays_of};

/// Messages of one durable that are held or put off. Those that are put off count, and must not hold up others, so this
/// is far more than is ever handled at a time; it bounds what the server remembers.
const MAX_ACK_PENDING: i64 = 20_000;

/// Messages sent before the first of them is acknowledged.
const PUBLISH_WINDOW: usize = 1024;

const MESSAGE_ID: &str = "Nats-Msg-Id";

const TRACEPARENT: &str = "traceparent";

/// What begins the message id of a replay: replaying twice at the same time delivers once.
const REPLAY: &str = "replay";

/// Marks a consumer with whose it is.
const OWNER: &str = "owner";

/// Where the bus is and who uses it.
#[derive(Clone, Debug)]
pub struct NatsConfig {
    /// `nats://host:4222`, `tls://…` for TLS, with `user:password@` or `token@` where needed; several servers of a
    /// cluster are separated by commas.
    pub url: SecretString,
    /// What the server calls this connection.
    pub client: String,
    /// The stream with the events.
    pub stream: String,
    /// Servers of a cluster that keep a copy of each event. `None` leaves that as it is, and begins with one.
    pub replicas: Option<usize>,
    /// What tells this service's database from that of the same service in another system. A durable belongs to
    /// whoever used it first; somebody else is refused, who would take its events from it.
    pub owner: Option<String>,
}

/// The bus on a NATS server.
pub struct NatsBus {
    server: Server,
    owner: Option<String>,
}

impl NatsBus {
    /// Connects, and creates the streams or brings them up to date.
    ///
    /// Fails when the server can not be reached, and for a stream that is not ours to use.
    pub async fn connect(config: &NatsConfig) -> Result<Self, BusError> {
        let bus = Self::open(config).await?;
        bus.server.ensure_stream(events_stream(config)).await?;
        bus.server.ensure_stream(dead_letter_stream(config)).await?;
        Ok(bus)
    }

    /// Connects to streams that are there, and leaves them as they are: for tools.
    pub async fn connect_to_existing(config: &NatsConfig) -> Result<Self, BusError> {
        let bus = Self::open(config).await?;
        for name in [config.stream.clone(), dead_letters_of(&config.stream)] {
            let missing = |error| BusError::unavailable(StreamFailed { stream: name.clone(), source: Box::new(error) });
            bus.server.context.get_stream(&name).await.map_err(missing)?;
        }
        Ok(bus)
    }

    async fn open(config: &NatsConfig) -> Result<Self, BusError> {
        Ok(Self { server: Server::connect(config).await?, owner: config.owner.clone() })
    }

    /// What tells the events of this system from those of any other: their stream, and when it was created.
    pub async fn identity(&self) -> Result<String, BusError> {
        let Server { context, stream, .. } = &self.server;
        let created = context.get_stream(&**stream).await.map_err(unavailable)?.cached_info().created;
        Ok(format!("{stream}/{}", created.unix_timestamp_nanos()))
    }

    /// A dead letter as it is stored, and the stream it is in.
    async fn dead_letter(&self, id: &str) -> Result<Option<(Stream, StreamMessage)>, BusError> {
        self.server.connected()?;
        let Ok(sequence) = id.parse::<NonZeroU64>() else { return Ok(None) };
        let stream = self.server.context.get_stream(dead_letters_of(&self.server.stream)).await.map_err(unavailable)?;
        match stream.get_raw_message(sequence.get()).await {
            Ok(letter) => Ok(letter.headers.get(LISTENER).is_some().then_some((stream, letter))),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    async fn consumer(&self, durable: Durable) -> Result<Consumer<pull::Config>, BusError> {
        let Server { context, stream, .. } = &self.server;
        let mut config = pull::Config {
            durable_name: Some(durable.name.into()),
            deliver_policy: DeliverPolicy::All,
            ack_policy: AckPolicy::Explicit,
            ack_wait: ACK_WAIT,
            max_deliver: -1,
            max_ack_pending: MAX_ACK_PENDING,
            ..pull::Config::default()
        };
        if self.server.replays() {
            config.filter_subjects = vec![durable.subject.as_str().into(), replays_of(stream, durable.name)];
        } else {
            config.filter_subject = durable.subject.as_str().into();
        }
        if let Some(owner) = &self.owner {
            let other = match context.get_consumer_from_stream::<pull::Config, _, _>(durable.name, &**stream).await {
                Ok(consumer) => consumer.cached_info().config.metadata.get(OWNER).cloned(),
                Err(error) if is_missing(&error) => None,
                Err(error) => return Err(unavailable(error)),
            };
            if let Some(other) = other.filter(|other| other != owner) {
                return Err(BusError::unusable(format!(
                    "the durable {} of the stream {stream} belongs to the database {other}, and ours is {owner}: either \
                     two systems use one stream, or the database was replaced and the durable should be deleted",
                    durable.name
                )));
            }
            config.metadata.insert(OWNER.into(), owner.clone());
        }
        context.create_consumer_on_stream(config, &**stream).await.map_err(unavailable)
    }
}

#[async_trait]
impl Publisher for NatsBus {
    async fn publish(&self, messages: &[Message]) -> Result<(), BusError> {
        self.server.connected()?;
        let mut acks = VecDeque::with_capacity(messages.len().min(PUBLISH_WINDOW));
        for Message { id, subject, payload, traceparent } in messages {
            if acks.len() == PUBLISH_WINDOW
                && let Some(ack) = acks.pop_front()
            {
                stored(ack).await?;
            }
            let mut headers = HeaderMap::new();
            headers.insert(MESSAGE_ID, id.as_str());
            if let Some(traceparent) = traceparent {
                headers.insert(TRACEPARENT, traceparent.as_str());
            }
            let publish = PublishMessage::build().headers(headers).payload(payload.clone().into());
            acks.push_back(self.server.context.send_publish(subject.as_str(), publish).await.map_err(unavailable)?);
        }
        for ack in acks {
            stored(ack).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Bus for NatsBus {
    async fn subscribe(&self, durable: Durable) -> Result<Box<dyn Subscription>, BusError> {
        self.server.connected()?;
        let consumer = self.consumer(durable).await?;
        Ok(Box::new(NatsSubscription::open(self.server.clone(), durable, consumer).await?))
    }

    async fn history(&self, subject: Subject, mut after: u64, limit: usize) -> Result<Vec<(u64, Message)>, BusError> {
        self.server.connected()?;
        let mut messages = Vec::new();
        loop {
            let arrivals = self.server.read(&self.server.stream, subject.as_str(), after, limit).await?;
            for arrival in &arrivals {
                after = arrival.info().map_err(unavailable)?.stream_sequence;
                match message(arrival, subject) {
                    Ok(message) => messages.push((after, message)),
                    Err(why) => warn!(%subject, position = after, why, "an event in the history is unreadable"),
                }
            }
            if arrivals.len() < limit || !messages.is_empty() {
                return Ok(messages);
            }
        }
    }

    async fn dead_letters(&self, after: Option<&str>, limit: usize) -> Result<Vec<DeadLetter>, BusError> {
        self.server.connected()?;
        let stream = dead_letters_of(&self.server.stream);
        let Ok(mut after) = after.map_or(Ok(0), str::parse) else { return Ok(Vec::new()) };
        let mut letters = Vec::new();
        loop {
            let wanted = limit - letters.len();
            let arrivals = self.server.read(&stream, "", after, wanted).await?;
            for arrival in &arrivals {
                after = arrival.info().map_err(unavailable)?.stream_sequence;
                match dead_letter(arrival, after) {
                    Some(letter) => letters.push(letter),
                    None => warn!(stream, subject = %arrival.subject, "what is in the dead letters is none"),
                }
            }
            if arrivals.len() < wanted || letters.len() == limit {
                return Ok(letters);
            }
        }
    }

    async fn replay_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        let Some((stream, letter)) = self.dead_letter(id).await? else { return Ok(false) };
        if !self.server.replays() {
            return Err(BusError::unusable("replaying dead letters needs NATS 2.10 or later"));
        }
        let mut headers = HeaderMap::new();
        let ours = [MESSAGE_ID, LISTENER, REASON, ATTEMPTS, SUBJECT];
        for (name, values) in letter.headers.iter().filter(|(name, _)| !ours.contains(&name.as_ref())) {
            values.iter().for_each(|value| headers.append(name.clone(), value.clone()));
        }
        let named = |name| letter.headers.get(name).map(|value| value.as_str()).unwrap_or_default();
        headers.insert(MESSAGE_ID, format!("{REPLAY}/{}", named(MESSAGE_ID)));
        let subject = replays_of(&self.server.stream, named(LISTENER));
        let publish = PublishMessage::build().headers(headers).payload(letter.payload);
        stored(self.server.context.send_publish(subject, publish).await.map_err(unavailable)?).await?;
        stream.delete_message(letter.sequence).await.map_err(unavailable)
    }

    async fn drop_dead_letter(&self, id: &str) -> Result<bool, BusError> {
        match self.dead_letter(id).await? {
            Some((stream, letter)) => stream.delete_message(letter.sequence).await.map_err(unavailable),
            None => Ok(false),
        }
    }

    async fn ping(&self) -> Result<(), BusError> {
        self.server.connected()?;
        self.server.context.get_stream(&*self.server.stream).await.map(|_| ()).map_err(unavailable)
    }
}

fn is_missing(error: &ConsumerError) -> bool {
    matches!(error.kind(), ConsumerErrorKind::JetStream(error) if error.code() == 404)
}

async fn stored(ack: async_nats::jetstream::context::PublishAckFuture) -> Result<(), BusError> {
    ack.await.map(|_| ()).map_err(unavailable)
}

/// What was published; `Err` says why it was not by us.
fn message(arrival: &Arrival, subject: Subject) -> Result<Message, &'static str> {
    // A replay has another of its own.
    let id = header(arrival, ORIGINAL_ID).or(header(arrival, MESSAGE_ID)).ok_or("it has no message id")?.to_owned();
    let payload = String::from_utf8(arrival.payload.to_vec()).map_err(|_| "the payload is not UTF-8")?;
    Ok(Message { id, subject, payload, traceparent: header(arrival, TRACEPARENT).and_then(TraceParent::parse) })
}

fn header<'a>(arrival: &'a Arrival, name: &str) -> Option<&'a str> {
    arrival.headers.as_ref()?.get(name).map(|value| value.as_str())
}

fn silent() -> BusError {
    BusError::unavailable("NATS does not answer")
}

fn unavailable(error: impl Into<BoxError>) -> BusError {
    BusError::unavailable(error)
}

/// Names the stream that an operation failed on.
#[derive(Debug, thiserror::Error)]
#[error("stream {stream}")]
struct StreamFailed {
    stream: String,
    source: BoxError,
}
