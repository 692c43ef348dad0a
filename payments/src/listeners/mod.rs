//! The listeners: events of orders update their copies, and begin to capture or release the money. One file per event.

mod order_cancelled;
mod order_completed;
mod order_created;
mod order_updated;

use common::events::OrderStatus;
use common::store::Query;

use crate::AppState;
use crate::error::PaymentError;
use crate::order::OrderCopy;
use crate::payment::{MAX_ATTEMPTS, Payment, PaymentEvent, PaymentStatus};
use crate::settlement::record_from;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_completed::OrderCompletedListener;
pub(crate) use order_created::OrderCreatedListener;
pub(crate) use order_updated::OrderUpdatedListener;

/// Stores what follows for the order's payment from the order's end. The worker does it.
async fn follow_order(app: &AppState, order: &OrderCopy) -> Result<(), PaymentError> {
    let payments = app.payments.find(Query::newest(MAX_ATTEMPTS as usize).with(Payment::ORDER, order.id)).await?;
    let Some(live) = payments.iter().find(|payment| !payment.status.is_ended()).cloned() else {
        // A cancelled order need not have a payment. That of a complete order can have been refunded.
        let is_refunded = payments.iter().any(|payment| payment.status == PaymentStatus::Refunded);
        let is_missing = order.status == OrderStatus::Complete && !is_refunded;
        return if is_missing { Err(PaymentError::NoPayment) } else { Ok(()) };
    };
    let followed = record_from(app, live, |payment| {
        payment.follow(order.status, app.clock.now())?;
        Ok(PaymentEvent::None)
    });
    app.work.add(followed.await?, app.clock.now());
    Ok(())
}
