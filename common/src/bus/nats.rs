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

use std::collections::{HashMap, VecDeque};
use std::error::Error;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::message::{PublishMessage, StreamMessage};
use async_nats::jetstream::stream::{
    Config as StreamConfig, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType, Stream,
};
use async_nats::jetstream::{AckKind, Context, ContextBuilder, Message as Arrival};
use async_nats::{Client, ConnectOptions, Event, HeaderMap, ServerAddr, StatusCode, Subscriber};
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::{Bus, BusError, DeadLetter, Delivery, Durable, Message, Subscription, Verdict};
use crate::events::Subject;
use crate::trace::TraceParent;

/// How long the server may take to answer. Below the two seconds in which a request has to fail.
const ANSWER: Duration = Duration::from_millis(1500);

/// How often to ask the server whether it is there. After two unanswered ones the connection counts as lost.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The longest wait between attempts to connect again.
const LONGEST_RECONNECT: Duration = Duration::from_secs(1);

/// How long the server lets a reader hold a message without a word from it, before it delivers it again.
const ACK_WAIT: Duration = Duration::from_secs(10);

/// How often a reader says that it is still at work on what it holds.
const PROGRESS: Duration = Duration::from_secs(3);

/// How long a request for messages waits at the server. Each listener asks again so often while nothing happens.
const PULL_EXPIRES: Duration = Duration::from_secs(5);

/// When a request for messages that was neither filled nor answered counts as lost.
const PULL_LOST: Duration = Duration::from_secs(6);

/// Messages of one durable that are held or put off. Those that are put off count, and must not hold up others, so this
/// is far more than is ever handled at a time; it bounds what the server remembers.
const MAX_ACK_PENDING: i64 = 20_000;

/// Messages sent before the first of them is acknowledged.
const PUBLISH_WINDOW: usize = 1024;

/// Messages fetched at once when a stream is read without a durable.
const READ_PAGE: usize = 1000;

/// For how long the server drops repeats of a message id. A relay repeats what it could not clear, which it tries every
/// few seconds; what comes later is repeated to listeners, which bear it. The server remembers every id of this time, some
/// 100 bytes each.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// The largest event, headers included: more than twice what the largest HTTP request can lead to.
const MAX_MESSAGE_SIZE: i32 = 256 << 10;

/// The largest dead letter: the largest event, and what its listener had to say.
const MAX_DEAD_LETTER_SIZE: i32 = 2 * MAX_MESSAGE_SIZE;

/// Bytes of a reason that a dead letter keeps.
const MAX_REASON: usize = 4096;

const MESSAGE_ID: &str = "Nats-Msg-Id";
const TRACEPARENT: &str = "traceparent";
const PENDING_MESSAGES: &str = "Nats-Pending-Messages";

/// Headers of a dead letter, beside those that the message had.
const LISTENER: &str = "Dead-Letter-Listener";
const REASON: &str = "Dead-Letter-Reason";
const ATTEMPTS: &str = "Dead-Letter-Attempts";
const SUBJECT: &str = "Dead-Letter-Subject";
const ORIGINAL_ID: &str = "Dead-Letter-Message-Id";

/// What begins the message id of a replay: replaying twice at the same time delivers once.
const REPLAY: &str = "replay";

/// Marks a stream as made by this program, for these.
const MADE_FOR: &str = "made-for";
const EVENTS: &str = "events";
const DEAD_LETTERS: &str = "dead-letters";

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
    /// Servers of a cluster that keep a copy of each event.
    pub replicas: usize,
    /// What tells this service's database from that of the same service in another system. A durable belongs to
    /// whoever used it first; somebody else is refused, who would take its events from it.
    pub owner: Option<String>,
}

/// The bus on a NATS server.
pub struct NatsBus {
    server: Server,
    owner: Option<String>,
}

/// A connection, and what is needed to use it.
#[derive(Clone)]
struct Server {
    client: Client,
    context: Context,
    stream: Arc<str>,
    /// Told when the connection is lost or there again.
    changes: watch::Receiver<()>,
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
            let missing = |error| BusError::Unavailable(format!("the stream {name}: {}", told(&error)));
            bus.server.context.get_stream(&name).await.map_err(missing)?;
        }
        Ok(bus)
    }

    async fn open(config: &NatsConfig) -> Result<Self, BusError> {
        let (client, changes) = connect(config).await?;
        let context = ContextBuilder::new().timeout(ANSWER).max_ack_inflight(16 * PUBLISH_WINDOW).build(client.clone());
        let server = Server { client, context, stream: config.stream.as_str().into(), changes };
        Ok(Self { server, owner: config.owner.clone() })
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
            let existing = context.get_consumer_from_stream::<pull::Config, _, _>(durable.name, &**stream).await;
            let other = existing.ok().and_then(|consumer| consumer.cached_info().config.metadata.get(OWNER).cloned());
            if let Some(other) = other.filter(|other| other != owner) {
                return Err(BusError::Unusable(format!(
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
impl Bus for NatsBus {
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
            return Err(BusError::Unusable("replaying dead letters needs NATS 2.10 or later".into()));
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

async fn connect(config: &NatsConfig) -> Result<(Client, watch::Receiver<()>), BusError> {
    // For `tls://`. Another part of the program may have been first.
    let _already_installed = rustls::crypto::ring::default_provider().install_default();
    let (changed, changes) = watch::channel(());
    let mut options = ConnectOptions::new()
        .name(&config.client)
        .connection_timeout(ANSWER)
        .request_timeout(Some(ANSWER))
        .ping_interval(PING_INTERVAL)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let doublings = u32::try_from(attempts.saturating_sub(2)).unwrap_or(u32::MAX).min(8);
            // The first attempt of all, and the first after a loss, are made at once.
            if attempts < 2 { Duration::ZERO } else { Duration::from_millis(20 << doublings).min(LONGEST_RECONNECT) }
        })
        .event_callback(move |event| {
            match &event {
                Event::Connected => info!("connected to NATS"),
                Event::Disconnected => warn!("lost the connection to NATS; trying to connect again"),
                Event::Closed => debug!("closed the connection to NATS"),
                event => warn!(%event, "NATS"),
            }
            changed.send_replace(());
            std::future::ready(())
        });
    let mut servers = Vec::new();
    for url in config.url.expose_secret().split(',') {
        let (server, credentials) = parse_url(url.trim())?;
        servers.push(server);
        options = match credentials {
            Some((user, Some(password))) => options.user_and_password(user, password),
            Some((token, None)) => options.token(token),
            None => options,
        };
    }
    let client = options.connect(servers).await.map_err(unavailable)?;
    Ok((client, changes))
}

type Credentials = (String, Option<String>);

/// Takes the credentials out of a URL, so that nothing can log them with it.
fn parse_url(url: &str) -> Result<(ServerAddr, Option<Credentials>), BusError> {
    // Says nothing of the URL itself: it may hold a password.
    let malformed =
        || BusError::Unusable("the URL of NATS is not like nats://host:4222 or tls://user:password@host".into());
    let mut url = url.parse::<ServerAddr>().map_err(|_| malformed())?.into_inner();
    let decode = |text: &str| percent_decode_str(text).decode_utf8().map(Into::into).map_err(|_| malformed());
    let credentials = match (url.username(), url.password()) {
        ("", _) => None,
        (user, password) => Some((decode(user)?, password.map(decode).transpose()?)),
    };
    url.set_username("").and_then(|()| url.set_password(None)).map_err(|()| malformed())?;
    Ok((ServerAddr::from_url(url).map_err(|_| malformed())?, credentials))
}

/// Nothing is deleted by age or number: the events are what new services learn from. When the server's storage is full,
/// or a limit that an operator sets, it refuses new events, which then wait in the outboxes; it never drops old ones.
fn events_stream(config: &NatsConfig) -> StreamConfig {
    let replays = replays_of(&config.stream, "*");
    StreamConfig {
        description: Some("Events of Ticketing".into()),
        subjects: Subject::ALL.map(|subject| subject.as_str().to_owned()).into_iter().chain([replays]).collect(),
        max_message_size: MAX_MESSAGE_SIZE,
        ..stream(config.stream.clone(), EVENTS, config.replicas)
    }
}

fn dead_letter_stream(config: &NatsConfig) -> StreamConfig {
    let name = dead_letters_of(&config.stream);
    StreamConfig {
        description: Some("Events that listeners of Ticketing rejected".into()),
        subjects: vec![format!("{name}.*")],
        max_message_size: MAX_DEAD_LETTER_SIZE,
        ..stream(name, DEAD_LETTERS, config.replicas)
    }
}

fn stream(name: String, made_for: &str, replicas: usize) -> StreamConfig {
    StreamConfig {
        name,
        metadata: HashMap::from([(MADE_FOR.into(), made_for.into())]),
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::New,
        storage: StorageType::File,
        num_replicas: replicas,
        max_messages: -1,
        max_bytes: -1,
        max_messages_per_subject: -1,
        max_age: Duration::ZERO,
        max_consumers: -1,
        duplicate_window: DUPLICATE_WINDOW,
        ..StreamConfig::default()
    }
}

fn dead_letters_of(stream: &str) -> String {
    format!("{stream}-dead-letters")
}

/// The subject of what is delivered again to a durable, or to `*`.
fn replays_of(stream: &str, durable: &str) -> String {
    format!("{stream}-replays.{durable}")
}

impl Server {
    /// Fails at once while there is no connection: what is sent then would wait in the client, to arrive after it has
    /// been sent again.
    fn connected(&self) -> Result<(), BusError> {
        match self.client.connection_state() {
            State::Connected => Ok(()),
            State::Pending | State::Disconnected => Err(BusError::Unavailable("there is no connection to NATS".into())),
        }
    }

    /// Whether the server knows consumers of several subjects. An older one would deliver every event to such.
    fn replays(&self) -> bool {
        self.client.is_server_compatible(2, 10, 0)
    }

    /// How often the connection has been made.
    fn connects(&self) -> u64 {
        self.client.statistics().connects.load(Ordering::Relaxed)
    }

    async fn ensure_stream(&self, wanted: StreamConfig) -> Result<(), BusError> {
        let name = wanted.name.clone();
        let existing = match self.context.get_stream(&name).await {
            Ok(stream) => stream.cached_info().config.clone(),
            Err(error) => {
                let missing = matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.code() == 404);
                if !missing {
                    return Err(unavailable(error));
                }
                // Others that start at the same time ask for the same, which is no error.
                let refused =
                    |error| BusError::Unavailable(format!("could not create the stream {name}: {}", told(&error)));
                self.context.create_stream(wanted).await.map_err(refused)?;
                info!(stream = name, "created the stream");
                return Ok(());
            }
        };
        let Some(updated) = update(&existing, wanted).map_err(|why| {
            BusError::Unusable(format!(
                "the stream {name} is not one that Ticketing can use: {why}; use another, or remove it"
            ))
        })?
        else {
            return Ok(());
        };
        let refused =
            |error| BusError::Unavailable(format!("the stream {name} can not be set up as needed: {}", told(&error)));
        self.context.update_stream(updated).await.map_err(refused)?;
        info!(stream = name, "brought the stream up to date");
        Ok(())
    }

    /// Reads a stream without a durable.
    async fn read(&self, stream: &str, subject: &str, after: u64, limit: usize) -> Result<Vec<Arrival>, BusError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let config = pull::Config {
            filter_subject: subject.into(),
            deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
            ack_policy: AckPolicy::None,
            memory_storage: true,
            num_replicas: 1,
            // For the case that it is not deleted below.
            inactive_threshold: Duration::from_secs(30),
            ..pull::Config::default()
        };
        let consumer = self.context.create_consumer_on_stream(config, stream).await.map_err(unavailable)?;
        let mut arrivals = Vec::new();
        loop {
            let (before, page) = (arrivals.len(), READ_PAGE.min(limit - arrivals.len()));
            let mut batch = consumer.fetch().max_messages(page).messages().await.map_err(unavailable)?;
            while let Some(arrival) = timeout(ANSWER, batch.next()).await.map_err(|_| silent())? {
                arrivals.push(arrival.map_err(unavailable)?);
            }
            if arrivals.len() == limit || arrivals.len() - before < page {
                break;
            }
        }
        let name = &consumer.cached_info().name;
        if let Err(error) = self.context.delete_consumer_from_stream(name, stream).await {
            warn!(%error, "could not delete a consumer; the server will");
        }
        Ok(arrivals)
    }

    async fn send(&self, subject: async_nats::Subject, payload: Bytes) -> Result<(), BusError> {
        match timeout(ANSWER, self.client.publish(subject, payload)).await {
            Ok(sent) => sent.map_err(unavailable),
            Err(_elapsed) => Err(silent()),
        }
    }

    /// Makes a message a dead letter, then has the server forget it for this durable.
    async fn put_aside(&self, arrival: &Arrival, durable: Durable, reason: &str) -> Result<(), BusError> {
        let info = arrival.info().map_err(unavailable)?;
        let mut headers = arrival.headers.clone().unwrap_or_default();
        if let Some(id) = header(arrival, ORIGINAL_ID).or(header(arrival, MESSAGE_ID)) {
            headers.insert(ORIGINAL_ID, id);
        }
        // Not the id of the message, which may be published again and be rejected again.
        headers.insert(MESSAGE_ID, format!("{}/{}", durable.name, info.stream_sequence));
        headers.insert(LISTENER, durable.name);
        headers.insert(REASON, one_line(reason));
        headers.insert(ATTEMPTS, info.delivered.to_string());
        headers.insert(SUBJECT, durable.subject.as_str());
        let subject = format!("{}.{}", dead_letters_of(&self.stream), durable.name);
        let publish = PublishMessage::build().headers(headers).payload(arrival.payload.clone());
        stored(self.context.send_publish(subject, publish).await.map_err(unavailable)?).await?;
        // Waits for the server: a reader that comes next must not meet it.
        let Some(reply) = arrival.reply.clone() else { return Ok(()) };
        self.client.request(reply, AckKind::Term.into()).await.map(|_| ()).map_err(unavailable)
    }
}

/// What has to change about a stream so that it is as wanted; `Err` says why that must not be done.
fn update(existing: &StreamConfig, wanted: StreamConfig) -> Result<Option<StreamConfig>, String> {
    let purpose = wanted.metadata.get(MADE_FOR);
    let ours = existing.metadata.get(MADE_FOR);
    if ours.is_some() && ours != purpose {
        return Err(format!("it was made for {}", ours.map_or("", String::as_str)));
    }
    let mut subjects = wanted.subjects.clone();
    for other in existing.subjects.iter().filter(|subject| !wanted.subjects.contains(subject)) {
        if ours.is_none() {
            return Err(format!("it holds the subject {other}"));
        }
        // From a newer version of this program, which may be replacing this one just now.
        subjects.push(other.clone());
    }
    if existing.storage != wanted.storage {
        return Err("it is not kept in files".into());
    }
    if existing.retention != wanted.retention {
        return Err("it drops what has been read".into());
    }
    if existing.mirror.is_some() || existing.sources.as_ref().is_some_and(|sources| !sources.is_empty()) {
        return Err("it is a copy of another".into());
    }
    if existing.sealed || existing.no_ack || existing.subject_transform.is_some() {
        return Err("it is sealed, does not acknowledge, or changes subjects".into());
    }
    let mut metadata = existing.metadata.clone();
    metadata.extend(wanted.metadata);
    // What is not set here is the operator's: its placement, its compression, how much it may hold.
    let updated = StreamConfig {
        description: wanted.description,
        subjects,
        metadata,
        discard: wanted.discard,
        num_replicas: wanted.num_replicas,
        max_messages: wanted.max_messages,
        max_messages_per_subject: wanted.max_messages_per_subject,
        max_age: wanted.max_age,
        max_message_size: wanted.max_message_size,
        duplicate_window: wanted.duplicate_window,
        ..existing.clone()
    };
    Ok((updated != *existing).then_some(updated))
}

/// One reader of a durable.
struct NatsSubscription {
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
    async fn open(server: Server, durable: Durable, consumer: Consumer<pull::Config>) -> Result<Self, BusError> {
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
                    self.server.put_aside(arrival, self.durable, why).await?;
                    inbox.arrived.pop_front();
                }
            }
        }
        Ok(deliveries)
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
                    None => return Err(BusError::Unavailable("the connection to NATS was closed".into())),
                },
                changed = changes.changed() => changed.map_err(|_| BusError::Unavailable("the connection to NATS was closed".into()))?,
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
                    self.server.put_aside(&arrival, self.durable, &reason).await?;
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
                    return Err(BusError::Unavailable(format!("NATS delivers nothing: {status} {description}")));
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

fn dead_letter(arrival: &Arrival, position: u64) -> Option<DeadLetter> {
    Some(DeadLetter {
        id: position.to_string(),
        listener: header(arrival, LISTENER)?.to_owned(),
        reason: header(arrival, REASON)?.to_owned(),
        attempts: header(arrival, ATTEMPTS)?.parse().ok()?,
        message: Message {
            id: header(arrival, ORIGINAL_ID).unwrap_or_default().to_owned(),
            subject: header(arrival, SUBJECT)?.parse().ok()?,
            payload: String::from_utf8_lossy(&arrival.payload).into_owned(),
            traceparent: header(arrival, TRACEPARENT).and_then(TraceParent::parse),
        },
    })
}

fn header<'a>(arrival: &'a Arrival, name: &str) -> Option<&'a str> {
    arrival.headers.as_ref()?.get(name).map(|value| value.as_str())
}

/// Fit for a header.
fn one_line(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_REASON);
    text[..end].replace(['\r', '\n'], " ")
}

fn silent() -> BusError {
    BusError::Unavailable("NATS does not answer".into())
}

fn unavailable(error: impl Into<Box<dyn Error + Send + Sync>>) -> BusError {
    BusError::Unavailable(told(&*error.into()))
}

/// The error and what caused it, without what the causes repeat.
fn told(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_taken_out_of_the_url() {
        let (server, credentials) = parse_url("tls://an%40n:p%2Css@nats.example:5222").unwrap();
        assert_eq!(server.into_inner().as_str(), "tls://nats.example:5222");
        assert_eq!(credentials, Some(("an@n".into(), Some("p,ss".into()))));
        assert_eq!(parse_url("nats://secret@nats.example").unwrap().1, Some(("secret".into(), None)));
        assert_eq!(parse_url("nats.example").unwrap().1, None);
        let error = parse_url("http://user:secret@nats.example").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    #[test]
    fn a_stream_of_somebody_else_is_left_alone() {
        let wanted = || stream("ticketing".into(), EVENTS, 1);
        let ours = StreamConfig { subjects: vec!["ticket:created".into()], ..wanted() };
        let foreign = StreamConfig { metadata: HashMap::new(), subjects: vec!["invoices.*".into()], ..wanted() };
        assert!(update(&foreign, ours.clone()).unwrap_err().contains("invoices.*"));
        assert!(update(&StreamConfig { storage: StorageType::Memory, ..ours.clone() }, ours.clone()).is_err());
        assert!(update(&StreamConfig { retention: RetentionPolicy::WorkQueue, ..ours.clone() }, ours.clone()).is_err());
        assert!(update(&stream("ticketing".into(), DEAD_LETTERS, 1), ours.clone()).is_err());
        assert_eq!(update(&ours, ours.clone()), Ok(None));
    }

    #[test]
    fn a_stream_of_ours_is_brought_up_to_date_and_keeps_what_is_the_operators() {
        let wanted = StreamConfig { subjects: vec!["ticket:created".into()], ..stream("ticketing".into(), EVENTS, 3) };
        let newer = vec!["ticket:created".to_owned(), "ticket:sold".into()];
        let before = StreamConfig { num_replicas: 1, max_bytes: 1 << 30, subjects: newer.clone(), ..wanted.clone() };
        let after = update(&before, wanted).unwrap().unwrap();
        assert_eq!((after.num_replicas, after.max_bytes, after.subjects), (3, 1 << 30, newer));
    }
}
