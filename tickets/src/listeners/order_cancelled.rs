use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::OrderCancelled;

use super::release;
use crate::AppState;
use crate::reservation::Reservation;

/// Releases the ticket of a cancelled order.
pub(crate) struct OrderCancelledListener;

#[async_trait]
impl Listener<AppState> for OrderCancelledListener {
    type Event = OrderCancelled;
    const NAME: &'static str = "tickets_order-cancelled";

    /// Notes the order as cancelled before it touches the ticket, so that an `order:created` that comes late, or is
    /// being handled now, can not reserve the ticket for good.
    async fn on_message(app: &AppState, event: OrderCancelled) -> Result<(), ListenError> {
        let (order, ticket) = (event.id, event.ticket.id);
        let cancelled = Reservation::cancelled(order, ticket);
        match app.reservations.get(order).await? {
            None => app.reservations.insert(&cancelled, None).await?,
            Some(heard) if !heard.is_cancelled() => app.reservations.replace(&cancelled, None).await?,
            Some(_) => {}
        }
        Ok(release(app, ticket, order).await?)
    }
}
