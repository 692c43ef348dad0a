use async_trait::async_trait;
use common::bus::{ListenError, Listener, Message};
use common::events::PaymentCreated;

use super::unknown;
use crate::AppState;

/// Completes the order whose price is authorised.
///
/// Does nothing if the order was cancelled first: payments hears of that too, and gives the money back.
pub(crate) struct PaymentCreatedListener;

#[async_trait]
impl Listener<AppState> for PaymentCreatedListener {
    type Event = PaymentCreated;
    const NAME: &'static str = "orders_payment-created";

    async fn on_message(app: &AppState, event: PaymentCreated) -> Result<(), ListenError> {
        let id = event.order_id;
        let completed = app.orders.update(id, |order| Ok::<_, ListenError>(order.complete().as_ref().map(Message::of)));
        completed.await?.map(|_| ()).ok_or_else(|| unknown(id))
    }
}
