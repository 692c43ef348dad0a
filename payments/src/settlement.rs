//! Bringing attempts to their end, and money to where it belongs.
//!
//! Every step is written down before Stripe is called, and what Stripe says after it, so whatever is cut off in between
//! is repeated: an attempt by [`settle_unfinished`], what follows from an order's end by the bus, which delivers the
//! event again.

use std::time::Duration;

use common::bus::Message;
use common::error::chain;
use common::events::OrderStatus;
use common::ids::{OrderId, PaymentId};
use common::store::{Query, StoreError};
use common::trace::TraceParent;
use futures_util::stream::{self, StreamExt};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::AppState;
use crate::error::PaymentError;
use crate::gateway::stripe::TIMEOUT;
use crate::gateway::{Authorise, GatewayError};
use crate::order::OrderCopy;
use crate::payment::{Already, CardToken, Payment, PaymentStatus};

/// How often to look for attempts whose outcome nobody is about to learn.
const SWEEP: Duration = Duration::from_secs(5);

/// How long whoever began an attempt is left to it.
const PATIENCE: Duration = TIMEOUT.saturating_add(Duration::from_secs(2));

/// Attempts looked at, and settled, at a time.
const BATCH: usize = 100;
const AT_ONCE: usize = 16;

/// Attempts to pay for an order.
///
/// In a task of its own: whoever asks may go away, the attempt goes on.
pub(crate) async fn pay(app: &AppState, order: OrderCopy, token: CardToken) -> Result<Payment, PaymentError> {
    let app = app.clone();
    let attempt = async move {
        let payment = begin(&app, &order, token).await?;
        settle(&app, payment).await
    };
    let trace = TraceParent::current().unwrap_or_else(TraceParent::generate);
    tokio::spawn(trace.scope(attempt)).await?
}

/// Puts an attempt on record, unless another one of the order is in flight or holds money.
async fn begin(app: &AppState, order: &OrderCopy, token: CardToken) -> Result<Payment, PaymentError> {
    loop {
        let payment = Payment::attempt(order, token.clone(), app.clock.now());
        match app.payments.insert(&payment, None).await {
            Err(StoreError::Duplicate(_)) => {}
            stored => return Ok(stored.map(|()| payment)?),
        }
        match live_payment(app, order.id).await?.map(|live| live.status) {
            Some(PaymentStatus::Processing) => return Err(PaymentError::InProgress),
            Some(_) => return Err(PaymentError::AlreadyPaid),
            // It has just ended.
            None => {}
        }
    }
}

/// Brings an attempt on record to its end, whoever began it and however far it came. May run twice at a time.
async fn settle(app: &AppState, mut payment: Payment) -> Result<Payment, PaymentError> {
    if let Some(token) = payment.token.take() {
        payment = authorise(app, &payment, &token).await?;
    }
    match payment.status {
        PaymentStatus::Authorised | PaymentStatus::Captured => {
            // The event of a cancellation sees to this as well, only later.
            if order(app, payment.order_id).await?.status == OrderStatus::Cancelled {
                release(app, payment.order_id).await?;
                return Err(PaymentError::OrderCancelled);
            }
            Ok(payment)
        }
        PaymentStatus::Processing => {
            void(app, &payment).await?;
            order(app, payment.order_id).await?.check_payable(app.clock.now())?;
            Err(PaymentError::OrderExpired)
        }
        PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => {
            order(app, payment.order_id).await?.check_payable(app.clock.now())?;
            Err(Already(payment.status).into())
        }
    }
}

/// Asks Stripe, for the first time or again, and records the answer.
async fn authorise(app: &AppState, payment: &Payment, token: &CardToken) -> Result<Payment, PaymentError> {
    let request = Authorise { payment: payment.id, order: payment.order_id, amount: payment.amount, token };
    match app.gateway.authorise(&request).await {
        Ok(hold) => {
            // Read after the attempt was put on record: an order that is cancelled later finds the attempt, one that
            // was cancelled before is seen here.
            let order = order(app, payment.order_id).await?;
            let now = app.clock.now();
            record(app, payment.id, |payment| Ok(payment.held(&hold, &order, now).as_ref().map(Message::of))).await
        }
        Err(error) => {
            let card = match &error {
                GatewayError::Declined { card, .. } => card.clone(),
                GatewayError::Invalid(_) => None,
                GatewayError::Unavailable(_) => return Err(error.into()),
            };
            record(app, payment.id, |payment| {
                payment.refused(card.clone());
                Ok(None)
            })
            .await?;
            Err(error.into())
        }
    }
}

/// Takes what is authorised for an order that is complete.
pub(crate) async fn capture(app: &AppState, order: OrderId) -> Result<(), PaymentError> {
    let payment = live_payment(app, order).await?.ok_or(PaymentError::NothingToCapture)?;
    match payment.status {
        PaymentStatus::Processing => Err(PaymentError::InProgress),
        PaymentStatus::Authorised => {
            app.gateway.capture(payment.id, stripe_id(&payment)?).await?;
            record(app, payment.id, |payment| Ok(payment.captured().map(|()| None)?)).await?;
            Ok(())
        }
        PaymentStatus::Captured | PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => Ok(()),
    }
}

/// Lets go of what is authorised for an order that is cancelled, or gives back what was captured.
pub(crate) async fn release(app: &AppState, order: OrderId) -> Result<(), PaymentError> {
    let Some(payment) = live_payment(app, order).await? else { return Ok(()) };
    match payment.status {
        // It will see for itself that the order is cancelled.
        PaymentStatus::Processing => Err(PaymentError::InProgress),
        PaymentStatus::Authorised => void(app, &payment).await,
        PaymentStatus::Captured => {
            app.gateway.refund(payment.id, stripe_id(&payment)?).await?;
            record(app, payment.id, |payment| Ok(payment.refunded().map(|()| None)?)).await?;
            Ok(())
        }
        PaymentStatus::Declined | PaymentStatus::Voided | PaymentStatus::Refunded => Ok(()),
    }
}

async fn void(app: &AppState, payment: &Payment) -> Result<(), PaymentError> {
    app.gateway.void(payment.id, stripe_id(payment)?).await?;
    record(app, payment.id, |payment| Ok(payment.voided().map(|()| None)?)).await?;
    Ok(())
}

/// Settles attempts that were cut off, by a crash or by Stripe's silence, until `stop`.
pub(crate) async fn settle_unfinished(app: AppState, stop: CancellationToken) {
    // What is unfinished at the start was most likely begun by a process that is no more.
    let mut patience = Duration::ZERO;
    loop {
        let round = async {
            if let Err(error) = sweep(&app, patience).await {
                warn!(%error, "could not look for unfinished payments; trying again");
            }
            app.clock.sleep_until(app.clock.now().plus(SWEEP)).await;
        };
        if stop.run_until_cancelled(round).await.is_none() {
            return;
        }
        patience = PATIENCE;
    }
}

async fn sweep(app: &AppState, patience: Duration) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let unfinished = Query::newest(BATCH).with("status", PaymentStatus::Processing).after(after);
        let found = app.payments.find(unfinished).await?;
        let is_last = found.len() < BATCH;
        after = found.last().map(|payment| payment.id);
        let now = app.clock.now();
        let left_alone = found.into_iter().filter(|payment| now.since(payment.attempted_at) >= patience);
        stream::iter(left_alone).for_each_concurrent(AT_ONCE, |payment| settle_again(app, payment)).await;
        if is_last {
            return Ok(());
        }
    }
}

async fn settle_again(app: &AppState, payment: Payment) {
    let (id, order_id) = (payment.id, payment.order_id);
    match settle(app, payment).await {
        Ok(payment) => info!(%id, %order_id, status = %payment.status, "an unfinished payment is settled"),
        Err(error @ (PaymentError::Gateway(GatewayError::Unavailable(_)) | PaymentError::Store(_))) => {
            warn!(%id, %order_id, error = chain(&error), "an unfinished payment stays so for now");
        }
        Err(error) => info!(%id, %order_id, error = chain(&error), "an unfinished payment is settled"),
    }
}

/// The order's payment that is in flight or holds money, if there is one.
async fn live_payment(app: &AppState, order: OrderId) -> Result<Option<Payment>, StoreError> {
    Ok(app.payments.find(Query::newest(1).with("liveOrderId", order)).await?.pop())
}

async fn order(app: &AppState, id: OrderId) -> Result<OrderCopy, PaymentError> {
    app.orders.get(id).await?.ok_or(PaymentError::NotFound)
}

async fn record(
    app: &AppState,
    id: PaymentId,
    change: impl FnMut(&mut Payment) -> Result<Option<Message>, PaymentError>,
) -> Result<Payment, PaymentError> {
    app.payments.update(id, change).await?.ok_or(PaymentError::NotFound)
}

fn stripe_id(payment: &Payment) -> Result<&str, Already> {
    payment.stripe_id.as_deref().ok_or(Already(payment.status))
}
