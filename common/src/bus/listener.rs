//! Listeners: what a service does when an event arrives, and the loop that runs it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{Bus, BusError, Delivery, Durable, Subscription, Verdict};
use crate::events::Event;
use crate::jobs::JobsError;
use crate::store::StoreError;
use crate::trace::TraceParent;

/// Messages of one listener that are handled at the same time: enough to share commits, few enough to wait little.
pub const MAX_IN_FLIGHT: usize = 256;

/// A handler that takes longer is given up and its message delivered again.
const HANDLER_TIMEOUT: Duration = Duration::from_secs(30);

/// The first delay of a retry; each further one is twice as long, up to [`LONGEST_RETRY`].
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// Fetching waits for room for so many, so that a busy listener does not fetch its messages one by one.
const MIN_FETCH: usize = MAX_IN_FLIGHT / 4;

/// How long to wait before asking again a bus that does not answer.
const BUS_PAUSE: Duration = Duration::from_secs(1);

/// What a service with the state `S` does when an event arrives.
///
/// It may be called twice with the same event, late, or before an older one, and must leave the same state behind.
#[async_trait]
pub trait Listener<S>: Send + Sync + 'static {
    /// What it listens to.
    type Event: Event;
    /// Its durable: `<service>_<subject with - for :>`.
    const NAME: &'static str;

    /// Handles one event. `Ok` means that its effect is durable.
    async fn on_message(state: &S, event: Self::Event) -> Result<(), ListenError>;
}

/// Why an event is not handled, and what shall become of it.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Not now: what it needs has not arrived, or a dependency is down. Delivered again with growing delay.
    #[error("not now: {0}")]
    Retry(String),
    /// Never: it makes no sense and will make none. Becomes a dead letter.
    #[error("rejected: {0}")]
    Reject(String),
}

impl From<StoreError> for ListenError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict | StoreError::Duplicate(_) | StoreError::Unavailable(_) => {
                Self::Retry(error.to_string())
            }
            StoreError::Corrupt { .. } => Self::Reject(error.to_string()),
        }
    }
}

impl From<JobsError> for ListenError {
    fn from(error: JobsError) -> Self {
        Self::Retry(error.to_string())
    }
}

type Handler = Arc<dyn Fn(String) -> BoxFuture<'static, Result<(), ListenError>> + Send + Sync>;

/// The listeners of a service, each registered by hand.
pub struct Listeners<S> {
    state: Arc<S>,
    registered: Vec<RegisteredListener>,
}

impl<S: Send + Sync + 'static> Listeners<S> {
    /// No listeners yet, for a service with this state.
    pub fn new(state: S) -> Self {
        Self { state: Arc::new(state), registered: Vec::new() }
    }

    /// Registers a listener.
    ///
    /// # Panics
    ///
    /// When its name is taken or is not made of its subject: a mistake in the program, told at start.
    pub fn on<L: Listener<S>>(mut self) -> Self {
        let durable = Durable { name: L::NAME, subject: L::Event::SUBJECT };
        let suffix = format!("_{}", durable.subject.as_str().replace(':', "-"));
        assert!(durable.name.ends_with(&suffix), "listener {} must be called <service>{suffix}", durable.name);
        let taken = self.registered.iter().any(|other| other.durable.name == durable.name);
        assert!(!taken, "two listeners are called {}", durable.name);
        let state = self.state.clone();
        let handler: Handler = Arc::new(move |payload| Box::pin(handle::<S, L>(state.clone(), payload)));
        self.registered.push(RegisteredListener { durable, handler });
        self
    }
}

impl<S> Listeners<S> {
    /// The listeners, whatever the state of their service.
    pub(crate) fn into_registered(self) -> Vec<RegisteredListener> {
        self.registered
    }
}

async fn handle<S, L: Listener<S>>(state: Arc<S>, payload: String) -> Result<(), ListenError> {
    match serde_json::from_str(&payload) {
        Ok(event) => L::on_message(&state, event).await,
        Err(error) => Err(ListenError::Reject(format!("the payload does not parse: {error}"))),
    }
}

/// A listener with the state of its service: what the bus runs.
pub struct RegisteredListener {
    durable: Durable,
    handler: Handler,
}

impl RegisteredListener {
    /// What it reads.
    pub fn durable(&self) -> Durable {
        self.durable
    }

    /// Handles what arrives, until `stop`; then returns, once what had begun is settled.
    pub async fn run(self, bus: Arc<dyn Bus>, stop: CancellationToken) {
        while let Err(error) = self.read(&*bus, &stop).await {
            warn!(listener = self.durable.name, %error, "could not read events; trying again");
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

    /// Calls the handler as an arriving message would, for tests that need no bus.
    #[cfg(feature = "testing")]
    pub async fn call(&self, payload: &str) -> Result<(), ListenError> {
        (self.handler)(payload.to_owned()).await
    }

    async fn deliver(&self, subscription: &dyn Subscription, delivery: Delivery) -> Result<(), BusError> {
        let trace = delivery.message.traceparent.clone().unwrap_or_else(TraceParent::generate);
        let verdict = trace.clone().scope(self.judge(&delivery, trace.trace_id())).await;
        subscription.settle(&delivery, verdict).await
    }

    /// Calls the handler and turns what it says, or what befalls it, into a verdict.
    async fn judge(&self, delivery: &Delivery, trace_id: &str) -> Verdict {
        let Delivery { attempt, message, .. } = delivery;
        let (listener, id) = (self.durable.name, &message.id);
        let handler = AssertUnwindSafe((self.handler)(message.payload.clone())).catch_unwind();
        let outcome = match tokio::time::timeout(HANDLER_TIMEOUT, handler).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_panic)) => Err(ListenError::Retry("the handler panicked".into())),
            Err(_elapsed) => Err(ListenError::Retry(format!("it took longer than {HANDLER_TIMEOUT:?}"))),
        };
        match outcome {
            Ok(()) => {
                counter!("events_handled_total", "listener" => listener).increment(1);
                debug!(listener, id, trace_id, "handled");
                Verdict::Ack
            }
            Err(ListenError::Retry(why)) => {
                counter!("events_retried_total", "listener" => listener).increment(1);
                let delay = retry_delay(*attempt);
                info!(listener, id, trace_id, attempt, ?delay, why, "will be delivered again");
                Verdict::Retry(delay)
            }
            Err(ListenError::Reject(why)) => {
                counter!("events_dead_lettered_total", "listener" => listener).increment(1);
                error!(listener, id, trace_id, attempt, why, "put aside as a dead letter");
                Verdict::Reject(why)
            }
        }
    }
}

fn retry_delay(attempt: u32) -> Duration {
    FIRST_RETRY.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1))).min(LONGEST_RETRY)
}
