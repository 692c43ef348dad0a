//! Listeners: a service's event handlers, and the loop that runs them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, debug, error, error_span, info, warn};

use crate::bus::{Bus, BusError, Delivery, Durable, Subscription, Verdict};
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

/// The delay before the first retry. It doubles with each retry, up to [`MAX_RETRY_DELAY`].
const MIN_RETRY_DELAY: Duration = Duration::from_millis(100);
const MAX_RETRY_DELAY: Duration = Duration::from_secs(30);

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
    /// A dependency is down, or another event must be handled first: redeliver the event with backoff.
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
            StoreError::Conflict | StoreError::Duplicate(_) | StoreError::Unavailable(_) => Self::retry(error),
            StoreError::Corrupt { .. } | StoreError::Serialise(_) => Self::reject(error),
        }
    }
}

impl From<JobsError> for ListenError {
    fn from(error: JobsError) -> Self {
        // Even if the jobs are unusable: that is not the event's fault.
        Self::retry(error)
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
        let suffix = format!("_{}", durable.subject.as_str().replace(':', "-"));
        assert!(durable.name.ends_with(&suffix), "the listener {} must be named <service>{suffix}", durable.name);
        let taken = self.registered.iter().any(|other| other.durable.name == durable.name);
        assert!(!taken, "two listeners are named {}", durable.name);
        let state = self.state.clone();
        let handler: Handler = Arc::new(move |payload| Box::pin(handle::<S, L>(state.clone(), payload)));
        self.registered.push(RegisteredListener { durable, handler });
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
        loop {
            let stopping = stop.is_cancelled();
            if stopping && in_flight.is_empty() {
                return Ok(());
            }
            let room = MAX_IN_FLIGHT - in_flight.len();
            tokio::select! {
                Some(settled) = in_flight.next() => settled?,
                deliveries = subscription.next(room), if !stopping && room >= MIN_FETCH => {
                    in_flight.extend(deliveries?.into_iter().map(|delivery| self.deliver(&*subscription, delivery)));
                }
                () = stop.cancelled(), if !stopping => {}
            }
        }
    }

    /// Calls the handler directly, without a bus. For tests.
    pub async fn call(&self, payload: &str) -> Result<(), ListenError> {
        (self.handler)(payload.to_owned()).await
    }

    async fn deliver(&self, subscription: &dyn Subscription, delivery: Delivery) -> Result<(), BusError> {
        let trace = delivery.message.traceparent.clone().unwrap_or_else(TraceParent::generate);
        let trace_id = trace.trace_id();
        let traced = async {
            // Created within the scope, so that an exported span belongs to the trace.
            let span = error_span!("event", listener = self.durable.name, id = delivery.message.id, %trace_id);
            let settled = async {
                let verdict = self.judge(&delivery).await;
                subscription.settle(&delivery, verdict).await
            };
            settled.instrument(span).await
        };
        trace.scope(traced).await
    }

    /// Calls the handler and turns its result, a panic or a timeout into a verdict.
    async fn judge(&self, delivery: &Delivery) -> Verdict {
        let Delivery { attempt, message, .. } = delivery;
        let listener = self.durable.name;
        let handler = AssertUnwindSafe((self.handler)(message.payload.clone())).catch_unwind();
        let outcome = match tokio::time::timeout(HANDLER_TIMEOUT, handler).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) if *attempt >= MAX_PANICS => Err(ListenError::reject(PANICKED)),
            Ok(Err(_panic)) => Err(ListenError::retry(PANICKED)),
            Err(_elapsed) => Err(ListenError::retry(format!("the handler took longer than {HANDLER_TIMEOUT:?}"))),
        };
        match outcome {
            Ok(()) => {
                counter!("events_handled_total", "listener" => listener).increment(1);
                debug!("event handled");
                Verdict::Ack
            }
            Err(ListenError::Retry(cause)) => self.retry(*attempt, retry_delay(*attempt), &cause),
            Err(ListenError::RetryAfter(delay, cause)) => self.retry(*attempt, delay, &cause),
            Err(ListenError::Reject(cause)) => {
                counter!("events_dead_lettered_total", "listener" => listener).increment(1);
                let reason = chain(&*cause);
                error!(attempt, reason, "event rejected, storing it as a dead letter");
                Verdict::Reject(reason)
            }
        }
    }

    fn retry(&self, attempt: u32, delay: Duration, cause: &BoxError) -> Verdict {
        counter!("events_retried_total", "listener" => self.durable.name).increment(1);
        info!(attempt, ?delay, reason = chain(&**cause), "event not handled, will retry");
        Verdict::Retry(delay)
    }
}

fn retry_delay(attempt: u32) -> Duration {
    MIN_RETRY_DELAY.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(MAX_RETRY_DELAY)
}
