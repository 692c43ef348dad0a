//! The background worker: settles payments that are due, handles webhooks, and compares Stripe's intents with ours.

use std::time::Duration;

use common::error::chain;
use common::ids::PaymentId;
use common::store::{Query, StoreError};
use common::trace::in_new_trace;
use futures_util::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::AppState;
use crate::audit;
use crate::error::PaymentError;
use crate::payment::Payment;
use crate::settlement::{Claim, claim, settle_claimed};
use crate::webhook;

/// How often at least to look for due payments. Changes by this process are noticed at once.
const INTERVAL: Duration = Duration::from_secs(1);

/// How many payments to settle concurrently.
const MAX_IN_FLIGHT: usize = 32;

/// How many payments to read at once.
const BATCH: usize = 100;

/// How often to compare Stripe's intents with ours.
const AUDIT_INTERVAL: Duration = Duration::from_secs(60);

/// Runs the worker until `stop`, then finishes the payments it works on.
pub(crate) async fn run(app: AppState, stop: CancellationToken) {
    let mut in_flight = FuturesUnordered::new();
    let mut outage = Outage::default();
    let (mut next_round, mut next_audit) = (app.clock.now(), app.clock.now());
    // Whether the last round found more payments than there was room for.
    let mut is_backlogged = false;
    while !stop.is_cancelled() {
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            Some(available) = in_flight.next() => {
                if let Some(available) = available {
                    outage.note(available, in_flight.is_empty());
                }
                if outage.is_on() {
                    next_round = app.clock.now().plus(outage.pause());
                } else if is_backlogged {
                    next_round = app.clock.now();
                }
            }
            () = app.work.notified(), if !outage.is_on() => next_round = app.clock.now(),
            () = app.clock.sleep_until(next_round) => {
                let room = outage.limit().saturating_sub(in_flight.len());
                let due = in_new_trace("settlement", due(&app, room)).await;
                is_backlogged = due.len() == room;
                for id in due {
                    in_flight.push(in_new_trace("settlement", settle_one(&app, id)).boxed());
                }
                let now = app.clock.now();
                next_round = now.plus(outage.pause());
                if now >= next_audit && !outage.is_on() {
                    next_audit = now.plus(AUDIT_INTERVAL);
                    in_flight.push(in_new_trace("audit", audit::run(&app).map(|()| None)).boxed());
                }
            }
        }
    }
    while in_flight.next().await.is_some() {}
}

/// Settles one payment. Returns whether Stripe was available, if it was asked.
async fn settle_one(app: &AppState, id: PaymentId) -> Option<bool> {
    let settled = match claim(app, id).await {
        Ok(Claim::Granted(payment)) => settle_claimed(app, payment).await,
        Ok(Claim::Refused(_)) => return None,
        Err(error) => Err(error),
    };
    match settled {
        Ok(_) => Some(true),
        Err(PaymentError::Stripe(error)) => Some(error.is_final()),
        Err(error) => {
            warn!(payment_id = %id, error = chain(&error), "could not settle a payment, will retry");
            None
        }
    }
}

/// Handles webhooks, and returns at most `room` payments that are due.
async fn due(app: &AppState, room: usize) -> Vec<PaymentId> {
    if let Err(error) = webhook::handle_pending(app).await {
        warn!(error = chain(&error), "could not handle webhooks, will retry");
    }
    find_due(app, room).await.unwrap_or_else(|error| {
        warn!(error = chain(&error), "could not read due payments, will retry");
        Vec::new()
    })
}

async fn find_due(app: &AppState, room: usize) -> Result<Vec<PaymentId>, StoreError> {
    let (now, mut after, mut due) = (app.clock.now(), None, Vec::new());
    while due.len() < room {
        let query = Query::newest(BATCH).with(Payment::UNSETTLED, Payment::YES).after(after);
        let unsettled = app.payments.find(query).await?;
        let Some(last) = unsettled.last() else { break };
        after = Some(last.id);
        due.extend(unsettled.iter().filter(|payment| payment.is_due(now)).map(|payment| payment.id));
    }
    due.truncate(room);
    Ok(due)
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
        self.0.unwrap_or(INTERVAL)
    }

    /// How many payments to settle concurrently.
    fn limit(&self) -> usize {
        if self.is_on() { 1 } else { MAX_IN_FLIGHT }
    }
}
