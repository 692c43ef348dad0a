//! What the staff does about payments: list what is stuck or differs from Stripe, and refund. The service may be running.

use common::clock::Timestamp;
use common::error::BoxError;
use common::ids::{OrderId, PaymentId};
use common::money::Money;
use common::store::{Collection, Database, Query, StoreError};

use crate::audit::{self, Difference, Drift};
use crate::payment::{MAX_ATTEMPTS, Payment, PaymentEvent};
use crate::stripe::Stripe;

/// A payment that Stripe does not let us settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckPayment {
    /// The payment.
    pub payment: PaymentId,
    /// The order it pays for.
    pub order: OrderId,
    /// Its amount.
    pub amount: Money,
    /// The intent at Stripe, `pi_…`.
    pub intent: Option<String>,
    /// When the buyer paid.
    pub attempted_at: Timestamp,
}

/// Why a refund is not possible.
#[derive(Debug, thiserror::Error)]
pub enum RefundError {
    /// The order has no payment that was captured.
    #[error("order {0} has no captured payment")]
    NotCaptured(OrderId),
    /// The database failed.
    #[error("could not read or write payments")]
    Store(#[from] StoreError),
}

/// Whether a refund is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refund {
    /// The payments service will do it, within seconds if it runs.
    Scheduled,
    /// Stripe has refunded the charge.
    Done,
}

/// Lists the stuck payments, newest first.
///
/// # Errors
///
/// If the database fails.
pub async fn stuck(database: &Database) -> Result<Vec<StuckPayment>, StoreError> {
    let stuck = audit::stuck(&database.collection()).await?.into_iter();
    let view = |payment: Payment| StuckPayment {
        payment: payment.id,
        order: payment.order_id,
        amount: payment.amount,
        intent: payment.stripe_id,
        attempted_at: payment.attempted_at,
    };
    Ok(stuck.map(view).collect())
}

/// Compares the intents that Stripe has created since `since` with our payments.
///
/// # Errors
///
/// If the database or Stripe fails.
pub async fn drift(database: &Database, stripe: &Stripe, since: Timestamp) -> Result<Vec<Drift>, BoxError> {
    let mut drifts = audit::drifts(&database.collection(), stripe, since).await?;
    drifts.retain(|drift| drift.difference != Difference::Unrecorded);
    Ok(drifts)
}

/// Refunds the payment of an order. The order is cancelled and its ticket goes back on sale once that is done. Idempotent.
///
/// # Errors
///
/// If there is no captured payment, or the database fails.
pub async fn refund(database: &Database, order: OrderId) -> Result<Refund, RefundError> {
    let payments: Collection<Payment> = database.collection();
    let attempts = payments.find(Query::newest(MAX_ATTEMPTS as usize).with(Payment::ORDER, order)).await?;
    for attempt in attempts {
        let change = |payment: &mut Payment| -> Result<PaymentEvent, RefundError> {
            payment.refund(database.clock().now()).map_err(|_| RefundError::NotCaptured(order))?;
            Ok(PaymentEvent::None)
        };
        match payments.update(attempt.id, change).await {
            Ok(Some(payment)) if payment.status.is_ended() => return Ok(Refund::Done),
            Ok(Some(_)) => return Ok(Refund::Scheduled),
            Ok(None) | Err(RefundError::NotCaptured(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(RefundError::NotCaptured(order))
}
