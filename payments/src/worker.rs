//! The background worker: settles payments that are due, handles webhooks, and compares Stripe's intents with ours.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::clock::Timestamp;
use common::error::chain;
use common::store::{Query, StoreError};
use common::trace::in_new_trace;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::AppState;
use crate::audit;
use crate::error::PaymentError;
use crate::payment::Payment;
use crate::settlement::{Claim, claim, settle_claimed};
use crate::webhook;

/// How often at least to look for due payments. Changes by this process are noticed at once, and the worker knows when a
/// payment that it has seen is due. So this only finds what other processes have left.
const INTERVAL: Duration = Duration::from_secs(3);

/// How often at least to look for webhooks, for the same reason.
const WEBHOOK_INTERVAL: Duration = Duration::from_secs(10);

/// The pause after a failure of the database, and while a webhook has to wait.
const PAUSE: Duration = Duration::from_secs(1);

/// How many payments to settle concurrently.
const MAX_IN_FLIGHT: usize = 32;

/// How many payments to read at once.
const BATCH: usize = 100;

/// How often to compare Stripe's intents with ours.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);

/// The payments that other tasks of this process have found or made due.
#[derive(Default)]
pub(crate) struct Work {
    payments: Mutex<Vec<Payment>>,
    added: Notify,
}

impl Work {
    /// Lets the worker settle a payment, if it is due.
    pub(crate) fn add(&self, payment: Payment, now: Timestamp) {
        let mut payments = self.payments();
        // The worker finds further ones in the database.
        if payment.is_due(now) && payments.len() < BATCH {
            payments.push(payment);
            self.added.notify_one();
        }
    }

    fn take(&self) -> Vec<Payment> {
        std::mem::take(&mut self.payments())
    }

    fn payments(&self) -> MutexGuard<'_, Vec<Payment>> {
        self.payments.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the worker until `stop`, then finishes the payments it works on.
pub(crate) async fn run(app: AppState, stop: CancellationToken) {
    let mut in_flight = FuturesUnordered::new();
    let mut outage = Outage::default();
    let start = app.clock.now();
    let (mut next_round, mut next_webhooks, mut next_audit) = (start, start, start);
    // Whether the last round found more payments than there was room for.
    let mut is_backlogged = false;
    while !stop.is_cancelled() {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some(Settled { available, due_at }) = in_flight.next() => {
                if let Some(available) = available {
                    outage.note(available, in_flight.is_empty());
                }
                if outage.is_on() {
                    next_round = app.clock.now().plus(outage.pause());
                } else if is_backlogged {
                    next_round = app.clock.now();
                } else if let Some(due_at) = due_at {
                    next_round = next_round.min(due_at);
                }
            }
            () = app.work.added.notified(), if !outage.is_on() => {
                let payments = app.work.take();
                if payments.len() > outage.limit().saturating_sub(in_flight.len()) {
                    next_round = app.clock.now();
                    continue;
                }
                for payment in payments {
                    in_flight.push(in_new_trace("settlement", settle_one(&app, payment)).boxed());
                }
            }
            () = app.received.notified(), if !outage.is_on() => {
                next_round = app.clock.now();
                next_webhooks = next_round;
            }
            () = app.clock.sleep_until(next_round) => {
                let now = app.clock.now();
                if now >= next_webhooks {
                    next_webhooks = now.plus(in_new_trace("webhooks", handle_webhooks(&app)).await);
                }
                let room = outage.limit().saturating_sub(in_flight.len());
                let (due, due_at) = in_new_trace("settlement", due(&app, room)).await;
                is_backlogged = due.len() == room;
                for payment in due {
                    in_flight.push(in_new_trace("settlement", settle_one(&app, payment)).boxed());
                }
                let now = app.clock.now();
                next_round = match outage.0 {
                    Some(pause) => now.plus(pause),
                    None => now.plus(INTERVAL).min(next_webhooks).min(due_at),
                };
                if now >= next_audit && !outage.is_on() {
                    next_audit = now.plus(AUDIT_INTERVAL);
                    in_flight.push(in_new_trace("audit", audit::run(&app).map(|()| Settled::default())).boxed());
                }
            }
        }
    }
    while in_flight.next().await.is_some() {}
}

/// The outcome of a payment's settlement.
#[derive(Default)]
struct Settled {
    /// Whether Stripe was available, if it was asked.
    available: Option<bool>,
    /// When to continue, if that is known and necessary.
    due_at: Option<Timestamp>,
}

async fn settle_one(app: &AppState, payment: Payment) -> Settled {
    let id = payment.id;
    let settled = match claim(app, payment).await {
        Ok(Claim::Granted(payment)) => settle_claimed(app, payment).await,
        Ok(Claim::Refused(payment)) => return Settled { available: None, due_at: payment.due_at() },
        Err(error) => Err(error),
    };
    let again = Some(app.clock.now().plus(PAUSE));
    match settled {
        Ok(payment) => Settled { available: Some(true), due_at: payment.due_at() },
        Err(PaymentError::Stripe(error)) => Settled { available: Some(error.is_final()), due_at: again },
        Err(error) => {
            warn!(payment_id = %id, error = chain(&error), "could not settle a payment, will retry");
            Settled { available: None, due_at: again }
        }
    }
}

/// Handles webhooks. Returns the pause before the next time.
async fn handle_webhooks(app: &AppState) -> Duration {
    match webhook::handle_pending(app).await {
        Ok(true) => WEBHOOK_INTERVAL,
        Ok(false) => PAUSE,
        Err(error) => {
            warn!(error = chain(&error), "could not handle webhooks, will retry");
            PAUSE
        }
    }
}

/// Returns at most `room` payments that are due, and the time when the next one is.
async fn due(app: &AppState, room: usize) -> (Vec<Payment>, Timestamp) {
    find_due(app, room).await.unwrap_or_else(|error| {
        warn!(error = chain(&error), "could not read due payments, will retry");
        (Vec::new(), app.clock.now().plus(PAUSE))
    })
}

async fn find_due(app: &AppState, room: usize) -> Result<(Vec<Payment>, Timestamp), StoreError> {
    let (now, mut after, mut due) = (app.clock.now(), None, Vec::new());
    let mut next = now.plus(INTERVAL);
    while due.len() < room {
        let query = Query::newest(BATCH).with(Payment::UNSETTLED, Payment::YES).after(after);
        let unsettled = app.payments.find(query).await?;
        let is_last = unsettled.len() < BATCH;
        after = unsettled.last().map(|last| last.id);
        let (now_due, later): (Vec<_>, Vec<_>) = unsettled.into_iter().partition(|payment| payment.is_due(now));
        next = later.iter().filter_map(Payment::due_at).fold(next, Timestamp::min);
        due.extend(now_due);
        if is_last {
            break;
        }
    }
    due.truncate(room);
    Ok((due, next))
}

/// Whether Stripe is down, and if so, for how long to leave it alone between two payments.
#[derive(Default)]
struct Outage(Option<Duration>);

impl Outage {
    const MIN_PAUSE: Duration = Duration::from_secs(1);
    const MAX_PAUSE: Duration = Duration::from_secs(60);

    /// Notes whether Stripe was available. Of several payments that failed together only the last lengthens the pause.
    fn note(&mut self, available: bool, is_last: bool) {
        self.0 = match self.0 {
            _ if available => None,
            None => Some(Self::MIN_PAUSE),
            Some(pause) if is_last => Some(Self::MAX_PAUSE.min(pause * 2)),
            Some(pause) => Some(pause),
        };
    }

    fn is_on(&self) -> bool {
        self.0.is_some()
    }

    fn pause(&self) -> Duration {
        self.0.unwrap_or(PAUSE)
    }

    /// How many payments to settle concurrently.
    fn limit(&self) -> usize {
        if self.is_on() { 1 } else { MAX_IN_FLIGHT }
    }
}
