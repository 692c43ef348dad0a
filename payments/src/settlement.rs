//! Settlement: authorises, captures, voids and refunds payments.
//!
//! A payment is stored before each request to Stripe and updated with the response. Interrupted steps are repeated:
//! [`settle_abandoned`] settles payments in flight, and the bus redelivers the end of an order.

use std::time::Duration;

use common::error::chain;
use common::events::{Announcement, OrderStatus};
use common::ids::{OrderId, PaymentId};
use common::store::{Query, StoreError};
use common::trace::{in_new_trace, spawn};
use futures_util::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::AppState;
use crate::card::CardToken;
use crate::error::PaymentError;
use crate::gateway::stripe::TIMEOUT;
use crate::gateway::{Authorise, GatewayError};
use crate::order::{OrderCopy, OrderRuleError};
use crate::payment::{InvalidTransition, Payment, PaymentStatus};

/// How often to sweep for abandoned payments.
const SWEEP_INTERVAL: Duration = Duration::from_secs(5);

/// A payment in flight that is older than this is abandoned: its authorisation has timed out.
const ABANDONED_AFTER: Duration = TIMEOUT.saturating_add(Duration::from_secs(2));

/// How many payments a sweep reads at once.
const BATCH: usize = 100;

/// How many payments a sweep settles concurrently.
const MAX_IN_FLIGHT: usize = 16;

/// Pays for an order.
///
/// Runs in a separate task, so that a client that disconnects does not interrupt the payment.
pub(crate) async fn pay(app: &AppState, order: OrderCopy, token: CardToken) -> Result<Payment, PaymentError> {
    let app = app.clone();
    let attempt = async move {
        let payment = begin(&app, &order, token).await?;
        settle(&app, payment).await
    };
    spawn(attempt).await?
}

/// Stores a new payment, unless another payment for the order is in flight or holds money.
async fn begin(app: &AppState, order: &OrderCopy, token: CardToken) -> Result<Payment, PaymentError> {
    loop {
        let payment = Payment::attempt(order, token.clone(), app.clock.now());
        match app.payments.insert(&payment, ()).await {
            Err(StoreError::Duplicate(_)) => {}
            stored => return Ok(stored.map(|()| payment)?),
        }
        match live_payment(app, order.id).await?.map(|live| live.status) {
            Some(PaymentStatus::Processing | PaymentStatus::Voiding) => return Err(PaymentError::InProgress),
            Some(PaymentStatus::Authorised | PaymentStatus::Captured) => return Err(OrderRuleError::Paid.into()),
            // The other payment has just ended: try again.
            Some(PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded) | None => {}
        }
    }
}

/// Settles a stored payment in any state. Returns an error unless the payment then holds money for its order.
///
/// Can run concurrently for one payment: every step is idempotent.
async fn settle(app: &AppState, mut payment: Payment) -> Result<Payment, PaymentError> {
    if let Some(token) = payment.token.take() {
        payment = authorise(app, &payment, &token).await?;
    }
    match payment.status {
        PaymentStatus::Authorised | PaymentStatus::Captured => {
            // The listener does this as well, but later.
            if order(app, payment.order_id).await?.status == OrderStatus::Cancelled {
                release(app, payment.order_id).await?;
                return Err(OrderRuleError::Cancelled.into());
            }
            Ok(payment)
        }
        PaymentStatus::Voiding => {
            void(app, &payment).await?;
            order(app, payment.order_id).await?.check_payable(app.clock.now())?;
            Err(OrderRuleError::Expired.into())
        }
        // Another task was faster. (Never processing: an outcome was just recorded.)
        PaymentStatus::Processing | PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => {
            order(app, payment.order_id).await?.check_payable(app.clock.now())?;
            Err(InvalidTransition(payment.status).into())
        }
    }
}

/// Authorises a payment at Stripe and stores the outcome.
async fn authorise(app: &AppState, payment: &Payment, token: &CardToken) -> Result<Payment, PaymentError> {
    let request = Authorise { payment: payment.id, order: payment.order_id, amount: payment.amount, token };
    match app.gateway.authorise(&request).await {
        Ok(hold) => {
            // Read after the payment was stored. An earlier cancellation is seen here, a later one finds the payment.
            let order = order(app, payment.order_id).await?;
            let now = app.clock.now();
            record(app, payment.id, |payment| Ok(payment.hold(hold.stripe_id.clone(), hold.card.clone(), &order, now)))
                .await
        }
        Err(error) => {
            let card = match &error {
                GatewayError::Declined { card, .. } => card.clone(),
                GatewayError::Invalid(_) => None,
                GatewayError::Unavailable(_) => return Err(error.into()),
            };
            record(app, payment.id, |payment| {
                payment.decline(card.clone());
                Ok(())
            })
            .await?;
            Err(error.into())
        }
    }
}

/// Captures or releases the money of an order that has ended.
pub(crate) async fn follow_order(app: &AppState, order: &OrderCopy) -> Result<(), PaymentError> {
    match order.status {
        OrderStatus::Complete => capture(app, order.id).await,
        OrderStatus::Cancelled => release(app, order.id).await,
        OrderStatus::Created | OrderStatus::AwaitingPayment => Ok(()),
    }
}

async fn capture(app: &AppState, order: OrderId) -> Result<(), PaymentError> {
    let payment = live_payment(app, order).await?.ok_or(PaymentError::NothingToCapture)?;
    match payment.status {
        PaymentStatus::Processing | PaymentStatus::Voiding => Err(PaymentError::InProgress),
        PaymentStatus::Authorised => {
            app.gateway.capture(payment.id, payment.intent()?).await?;
            record(app, payment.id, |payment| Ok(payment.capture()?)).await.map(drop)
        }
        PaymentStatus::Captured | PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => Ok(()),
    }
}

/// Voids or refunds the order's payment, if it has one.
async fn release(app: &AppState, order: OrderId) -> Result<(), PaymentError> {
    let Some(payment) = live_payment(app, order).await? else { return Ok(()) };
    match payment.status {
        // The task that settles the payment will see the cancellation, or is already voiding.
        PaymentStatus::Processing | PaymentStatus::Voiding => Err(PaymentError::InProgress),
        PaymentStatus::Authorised => void(app, &payment).await,
        PaymentStatus::Captured => {
            app.gateway.refund(payment.id, payment.intent()?).await?;
            record(app, payment.id, |payment| Ok(payment.refund()?)).await.map(drop)
        }
        PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => Ok(()),
    }
}

async fn void(app: &AppState, payment: &Payment) -> Result<(), PaymentError> {
    app.gateway.void(payment.id, payment.intent()?).await?;
    record(app, payment.id, |payment| Ok(payment.void()?)).await.map(drop)
}

/// Settles payments abandoned after a crash or a failed request to Stripe, until `stop`.
pub(crate) async fn settle_abandoned(app: AppState, stop: CancellationToken) {
    // At the start, payments in flight most likely belong to a process that crashed.
    let mut min_age = Duration::ZERO;
    loop {
        let round = async {
            in_new_trace("settlement", async {
                if let Err(error) = sweep(&app, min_age).await {
                    warn!(error = chain(&error), "could not read abandoned payments, will retry");
                }
            })
            .await;
            app.clock.sleep_until(app.clock.now().plus(SWEEP_INTERVAL)).await;
        };
        if stop.run_until_cancelled(round).await.is_none() {
            return;
        }
        min_age = ABANDONED_AFTER;
    }
}

async fn sweep(app: &AppState, min_age: Duration) -> Result<(), StoreError> {
    sweep_status(app, PaymentStatus::Processing, min_age).await?;
    sweep_status(app, PaymentStatus::Voiding, min_age).await
}

async fn sweep_status(app: &AppState, status: PaymentStatus, min_age: Duration) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let payments = app.payments.find(Query::newest(BATCH).with("status", status).after(after)).await?;
        let Some(last) = payments.last() else { return Ok(()) };
        after = Some(last.id);
        let now = app.clock.now();
        let abandoned = payments.into_iter().filter(|payment| now.since(payment.attempted_at) >= min_age);
        stream::iter(abandoned).for_each_concurrent(MAX_IN_FLIGHT, |payment| resume(app, payment)).await;
    }
}

/// Settles an abandoned payment. If that fails, the next sweep tries again.
async fn resume(app: &AppState, payment: Payment) {
    let (payment_id, order_id) = (payment.id, payment.order_id);
    let result = settle(app, payment).await;
    let outcome = match &result {
        Ok(payment) => payment.status.to_string(),
        Err(error) => chain(error),
    };
    // An error may be the outcome, for example a decline.
    match app.payments.get(payment_id).await {
        Ok(Some(payment)) if !payment.status.is_in_flight() => {
            info!(%payment_id, %order_id, outcome, "abandoned payment settled");
        }
        _ => warn!(%payment_id, %order_id, outcome, "abandoned payment not settled yet, will retry"),
    }
}

/// The order's payment that is in flight or holds money, if there is one.
async fn live_payment(app: &AppState, order: OrderId) -> Result<Option<Payment>, StoreError> {
    Ok(app.payments.find(Query::newest(1).with("liveOrderId", order)).await?.pop())
}

async fn order(app: &AppState, id: OrderId) -> Result<OrderCopy, PaymentError> {
    app.orders.get(id).await?.ok_or(PaymentError::UnknownOrder(id))
}

async fn record<A: Announcement>(
    app: &AppState,
    id: PaymentId,
    change: impl FnMut(&mut Payment) -> Result<A, PaymentError>,
) -> Result<Payment, PaymentError> {
    app.payments.update(id, change).await?.ok_or(PaymentError::UnknownPayment(id))
}
