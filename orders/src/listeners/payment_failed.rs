use async_trait::async_trait;
use common::events::{PaymentFailed, PaymentFailure};
use common::listener::{ListenError, Listener};
use tracing::warn;

use crate::AppState;
use crate::config::CaptureFailure;
use crate::error::OrderError;

/// Cancels an order whose payment failed after it was announced, and so puts its ticket back on sale.
pub(crate) struct PaymentFailedListener;

#[async_trait]
impl Listener<AppState> for PaymentFailedListener {
    type Event = PaymentFailed;
    const NAME: &'static str = "orders_payment-failed";

    async fn on_message(app: &AppState, event: PaymentFailed) -> Result<(), ListenError> {
        let PaymentFailed { order_id, reason, .. } = event;
        if reason == PaymentFailure::CaptureFailed && app.capture_failure == CaptureFailure::Keep {
            warn!(%order_id, "the payment failed, the order is kept");
            return Ok(());
        }
        let revoked = app.orders.update(order_id, |order| -> Result<_, OrderError> { Ok(order.revoke()) });
        revoked.await?.ok_or(OrderError::UnknownOrder(order_id))?;
        Ok(())
    }
}
