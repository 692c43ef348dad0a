use async_trait::async_trait;
use common::events::PaymentPending;
use common::listener::{ListenError, Listener};

use crate::AppState;
use crate::error::OrderError;

/// Marks an order as waiting for a further step of its buyer. It can still expire.
pub(crate) struct PaymentPendingListener;

#[async_trait]
impl Listener<AppState> for PaymentPendingListener {
    type Event = PaymentPending;
    const NAME: &'static str = "orders_payment-pending";

    async fn on_message(app: &AppState, event: PaymentPending) -> Result<(), ListenError> {
        let id = event.order_id;
        let updated = app.orders.update(id, |order| -> Result<_, OrderError> { Ok(order.await_payment()) });
        updated.await?.ok_or(OrderError::UnknownOrder(id))?;
        Ok(())
    }
}
