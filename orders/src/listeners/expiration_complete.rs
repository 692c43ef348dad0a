use async_trait::async_trait;
use common::bus::{ListenError, Listener, Message};
use common::events::ExpirationComplete;

use super::unknown;
use crate::AppState;

/// Cancels the order whose time is up.
///
/// Does nothing if the order is complete: time may lose that race.
pub(crate) struct ExpirationCompleteListener;

#[async_trait]
impl Listener<AppState> for ExpirationCompleteListener {
    type Event = ExpirationComplete;
    const NAME: &'static str = "orders_expiration-complete";

    async fn on_message(app: &AppState, event: ExpirationComplete) -> Result<(), ListenError> {
        let id = event.order_id;
        let now = app.clock.now();
        let cancelled = app.orders.update(id, |order| {
            if now < order.expires_at {
                // The clock of whoever says so is ahead of ours.
                return Err(ListenError::Retry(format!("order {id} lasts until {}", order.expires_at)));
            }
            Ok(order.cancel().ok().flatten().as_ref().map(Message::of))
        });
        cancelled.await?.map(|_| ()).ok_or_else(|| unknown(id))
    }
}
