use async_trait::async_trait;
use common::events::PaymentCreated;
use common::listener::{ListenError, Listener};

use crate::AppState;
use crate::error::OrderError;

/// Completes an order whose payment is authorised.
///
/// Does nothing if the order was cancelled first: the payments service voids the payment when it sees `order:cancelled`.
pub(crate) struct PaymentCreatedListener;

#[async_trait]
impl Listener<AppState> for PaymentCreatedListener {
    type Event = PaymentCreated;
    const NAME: &'static str = "orders_payment-created";

    async fn on_message(app: &AppState, event: PaymentCreated) -> Result<(), ListenError> {
        let id = event.order_id;
        let completed = app.orders.update(id, |order| -> Result<_, OrderError> { Ok(order.complete()) });
        completed.await?.ok_or(OrderError::UnknownOrder(id))?;
        Ok(())
    }
}
