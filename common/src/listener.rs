//! Listeners: a service's event handlers, and the loop that runs them.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use metrics::{counter, gauge};
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, error_span, info, warn};

use crate::bus::{Bus, BusError, Delivery, Durable, Subscription, Verdict};
use crate::deferrals::{Deferrals, retry_delay};
use crate::error::{BoxError, chain};
use crate::events::Event;
use crate::jobs::JobsError;
use crate::store::StoreError;
use crate::trace::TraceParent;

/// How many messages one listener handles concurrently: enough for the database to group their commits, few enough to
/// keep latency low.
pub const MAX_IN_FLIGHT: usize = 256;

/// A handler that takes longer is cancelled and its message redelivered.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

/// A handler that panics at this attempt has a bug: the event becomes a dead letter, until the handler is mended.
const MAX_PANICS: u32 = 5;

const PANICKED: &str = "the handler panicked";

/// How often a message may fail, other than because a dependency is down, before it becomes a dead letter. With the
/// delays between the attempts, this takes about an hour.
const MAX_FAILURES: u32 = 128;

/// The longest pause between two attempts while a dependency is down.
const MAX_OUTAGE_PAUSE: Duration = Duration::from_secs(1);

/// How often to update the age of the oldest deferred message.
const AGE_INTERVAL: Duration = Duration::from_secs(5);

/// The least room for which a listener fetches messages. Without it a busy listener would fetch them one by one.
const MIN_FETCH: usize = MAX_IN_FLIGHT / 4;

/// The pause before reading again from a bus that failed.
const BUS_PAUSE: Duration = Duration::from_secs(1);

/// Handles one type of event in a service with the state `S`.
///
/// Must be idempotent: an event may be delivered twice, late, or before an older one, and the final state must be the
/// same.
#[async_trait]
pub trait Listener<S>: Send + Sync + 'static {
    /// The event to handle.
    type Event: Event;
    /// The name of its durable: `<service>_<subject with - for :>`.
    const NAME: &'static str;

    /// Handles one event. Must return `Ok` only when its effects are durable, because the event is not redelivered.
    async fn on_message(state: &S, event: Self::Event) -> Result<(), ListenError>;
}

/// Why an event was not handled, which decides what happens to it.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// A dependency is down: redeliver the event with backoff until it is up again.
    #[error("a dependency is unavailable")]
    Unavailable(#[source] BoxError),
    /// Another event must be handled first, or other writers interfere: redeliver the event with backoff. If that does
    /// not help for about an hour, store it as a dead letter.
    #[error("not handled yet")]
    Retry(#[source] BoxError),
    /// It is too early for the event: redeliver it after this time.
    #[error("not handled yet")]
    RetryAfter(Duration, #[source] BoxError),
    /// The event is invalid and no retry can help: store it as a dead letter.
    #[error("rejected")]
    Reject(#[source] BoxError),
}

impl ListenError {
    /// [`ListenError::Unavailable`] with this cause.
    pub fn unavailable(cause: impl Into<BoxError>) -> Self {
        Self::Unavailable(cause.into())
    }

    /// [`ListenError::Retry`] for this reason.
    pub fn retry(reason: impl Into<BoxError>) -> Self {
        Self::Retry(reason.into())
    }

    /// [`ListenError::RetryAfter`] for this reason.
    pub fn retry_after(delay: Duration, reason: impl Into<BoxError>) -> Self {
        Self::RetryAfter(delay, reason.into())
    }

    /// [`ListenError::Reject`] for this reason.
    pub fn reject(reason: impl Into<BoxError>) -> Self {
        Self::Reject(reason.into())
    }
}

impl From<StoreError> for ListenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(_) => Self::unavailable(error),
            StoreError::Conflict | StoreError::Duplicate(_) => Self::retry(error),
            StoreError::Corrupt { .. } | StoreError::Serialise(_) => Self::reject(error),
        }
    }
}

impl From<JobsError> for ListenError {
    fn from(error: JobsError) -> Self {
        if error.is_transient() { Self::unavailable(error) } else { Self::retry(error) }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the payload does not parse")]
struct InvalidPayload(#[source] serde_json::Error);

type Handler = Arc<dyn Fn(String) -> BoxFuture<'static, Result<(), ListenError>> + Send + Sync>;

/// The listeners of one service.
pub struct Listeners<S> {
    state: Arc<S>,
    registered: Vec<RegisteredListener>,
}

impl<S: Send + Sync + 'static> Listeners<S> {
    /// Creates an empty list for a service with this state.
    pub fn new(state: S) -> Self {
        Self { state: Arc::new(state), registered: Vec::new() }
    }

    /// Registers a listener.
    ///
    /// # Panics
    ///
    /// If its name is taken or does not end with its subject. The first start reveals this programming error.
    pub fn on<L: Listener<S>>(mut self) -> Self {
        let durable = Durable { name: L::NAME, subject: L::Event::SUBJECT };
        let suffix = Durable::suffix(durable.subject);
        assert!(durable.name.ends_with(&suffix), "the listener {} must be named <service>{suffix}", durable.name);
        let taken = self.registered.iter().any(|other| other.durable.name == durable.name);
        assert!(!taken, "two listeners are named {}", durable.name);
        let state = self.state.clone();
        let handler: Handler = Arc::new(move |payload| Box::pin(handle::<S, L>(state.clone(), payload)));
        self.registered.push(RegisteredListener { durable, handler, deferrals: Mutex::default() });
        self
    }
}

impl<S> Listeners<S> {
    /// Erases the type of the state.
    pub(crate) fn into_registered(self) -> Vec<RegisteredListener> {
        self.registered
    }
}

async fn handle<S, L: Listener<S>>(state: Arc<S>, payload: String) -> Result<(), ListenError> {
    match serde_json::from_str(&payload) {
        Ok(event) => L::on_message(&state, event).await,
        Err(error) => Err(ListenError::reject(InvalidPayload(error))),
    }
}

/// A listener together with the state of its service.
pub struct RegisteredListener {
    durable: Durable,
    handler: Handler,
    deferrals: Mutex<Deferrals>,
}

impl RegisteredListener {
    /// The durable it reads.
    pub fn durable(&self) -> Durable {
        self.durable
    }

    /// Handles events until `stop`, then finishes those in flight.
    pub async fn run(self, bus: Arc<dyn Bus>, stop: CancellationToken) {
        while let Err(error) = self.read(&*bus, &stop).await {
            warn!(listener = self.durable.name, error = chain(&error), "could not read events, will retry");
            if stop.run_until_cancelled(tokio::time::sleep(BUS_PAUSE)).await.is_none() {
                return;
            }
        }
    }

    async fn read(&self, bus: &dyn Bus, stop: &CancellationToken) -> Result<(), BusError> {
        let subscription = bus.subscribe(self.durable).await?;
        let mut in_flight = FuturesUnordered::new();
        let mut outage = Outage::default();
        let mut ages = interval(AGE_INTERVAL);
        loop {
            let stopping = stop.is_cancelled();
            if stopping && in_flight.is_empty() {
                return Ok(());
            }
            let room = outage.room(in_flight.len());
            let fetched = async {
                outage.pause().await;
                subscription.next(room).await
            };
            tokio::select! {
                Some(settled) = in_flight.next() => outage.note(settled?),
                deliveries = fetched, if !stopping && room > 0 => {
                    in_flight.extend(deliveries?.into_iter().map(|delivery| self.deliver(&*subscription, delivery)));
                }
                _ = ages.tick() => {
                    let age = self.deferrals().oldest_age();
                    gauge!("events_deferred_oldest_seconds", "listener" => self.durable.name).set(age.as_secs_f64());
                }
                () = stop.cancelled(), if !stopping => {}
            }
        }
    }

    /// Calls the handler directly, without a bus. For tests.
    pub async fn call(&self, payload: &str) -> Result<(), ListenError> {
        (self.handler)(payload.to_owned()).await
    }

    /// Handles and settles a message.
    async fn deliver(&self, subscription: &dyn Subscription, delivery: Delivery) -> Result<Dependencies, BusError> {
        let trace = delivery.message.traceparent.clone().unwrap_or_else(TraceParent::generate);
        let trace_id = trace.trace_id();
        let traced = async {
            // Created within the scope, so that an exported span belongs to the trace.
            let span = error_span!("event", listener = self.durable.name, id = delivery.message.id, %trace_id);
            let settled = async {
                let (verdict, dependencies) = self.judge(&delivery, self.call_handler(&delivery).await);
                subscription.settle(&delivery, verdict).await.map(|()| dependencies)
            };
            settled.instrument(span).await
        };
        trace.scope(traced).await
    }

    /// Calls the handler and turns a panic or a timeout into an error.
    async fn call_handler(&self, delivery: &Delivery) -> Result<(), ListenError> {
        let handler = AssertUnwindSafe((self.handler)(delivery.message.payload.clone())).catch_unwind();
        match tokio::time::timeout(HANDLER_TIMEOUT, handler).await {
            Ok(Ok(result)) => result,
            Ok(Err(_panic)) if delivery.attempt >= MAX_PANICS => Err(ListenError::reject(PANICKED)),
            Ok(Err(_panic)) => Err(ListenError::retry(PANICKED)),
            Err(_elapsed) => Err(ListenError::retry(format!("the handler took longer than {HANDLER_TIMEOUT:?}"))),
        }
    }

    /// Turns the result of the handler into a verdict, and says whether its dependencies responded.
    fn judge(&self, delivery: &Delivery, result: Result<(), ListenError>) -> (Verdict, Dependencies) {
        let Delivery { attempt, message, .. } = delivery;
        let mut deferrals = self.deferrals();
        match result {
            Ok(()) => {
                deferrals.settle(&message.id);
                counter!("events_handled_total", "listener" => self.durable.name).increment(1);
                debug!("event handled");
                (Verdict::Ack, Dependencies::Up)
            }
            Err(ListenError::Unavailable(cause)) => {
                deferrals.wait(&message.id, *attempt, retry_delay(*attempt));
                (self.defer(*attempt, retry_delay(*attempt), &cause), Dependencies::Down)
            }
            Err(ListenError::RetryAfter(delay, cause)) => {
                deferrals.wait(&message.id, *attempt, delay);
                (self.defer(*attempt, delay, &cause), Dependencies::Up)
            }
            Err(ListenError::Retry(cause)) if deferrals.failure(&message.id, *attempt) < MAX_FAILURES => {
                (self.defer(*attempt, retry_delay(*attempt), &cause), Dependencies::Up)
            }
            Err(ListenError::Retry(cause) | ListenError::Reject(cause)) => {
                deferrals.settle(&message.id);
                counter!("events_dead_lettered_total", "listener" => self.durable.name).increment(1);
                let reason = chain(&*cause);
                error!(attempt, reason, "event rejected, storing it as a dead letter");
                (Verdict::Reject(reason), Dependencies::Up)
            }
        }
    }

    fn defer(&self, attempt: u32, delay: Duration, cause: &BoxError) -> Verdict {
        counter!("events_retried_total", "listener" => self.durable.name).increment(1);
        let reason = chain(&**cause);
        info!(attempt, ?delay, reason, "event not handled, will retry");
        Verdict::Retry(delay)
    }

    fn deferrals(&self) -> MutexGuard<'_, Deferrals> {
        self.deferrals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the dependencies of a handler responded.
enum Dependencies {
    Up,
    Down,
}

/// Slows a listener down while a dependency is down: everything it fetched would only be deferred.
#[derive(Default)]
struct Outage {
    /// How many messages in a row have found it down.
    failures: u32,
    /// When to try the next message.
    until: Option<Instant>,
}

impl Outage {
    fn note(&mut self, dependencies: Dependencies) {
        match dependencies {
            Dependencies::Up => *self = Self::default(),
            Dependencies::Down => {
                self.failures = self.failures.saturating_add(1);
                self.until = Some(Instant::now() + retry_delay(self.failures).min(MAX_OUTAGE_PAUSE));
            }
        }
    }

    /// How many messages to fetch: during an outage one at a time.
    fn room(&self, in_flight: usize) -> usize {
        match MAX_IN_FLIGHT - in_flight {
            _ if self.until.is_some() => usize::from(in_flight == 0),
            room if room < MIN_FETCH => 0,
            room => room,
        }
    }

    async fn pause(&self) {
        if let Some(until) = self.until {
            sleep_until(until).await;
        }
    }
}
