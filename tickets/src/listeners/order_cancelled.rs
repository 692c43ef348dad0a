use async_trait::async_trait;
use common::events::OrderCancelled;
use common::listener::{ListenError, Listener};

use super::release::release;
use crate::AppState;
use crate::reservation::{Reservation, ReservationStatus};

/// Releases the ticket of a cancelled order.
pub(crate) struct OrderCancelledListener;

#[async_trait]
impl Listener<AppState> for OrderCancelledListener {
    type Event = OrderCancelled;
    const NAME: &'static str = "tickets_order-cancelled";

    /// Records the cancellation before it touches the ticket. An `order:created` that arrives later, or is being handled
    /// concurrently, finds the record and leaves the ticket free.
    async fn on_message(app: &AppState, event: OrderCancelled) -> Result<(), ListenError> {
        let (order, ticket) = (event.id, event.ticket.id);
        let cancelled = Reservation::cancelled(order, ticket);
        match app.reservations.get(order).await?.map(|reservation| reservation.status) {
            None => app.reservations.insert(&cancelled, ()).await?,
            Some(ReservationStatus::Created) => app.reservations.replace(&cancelled, ()).await?,
            Some(ReservationStatus::Cancelled) => {}
        }
        Ok(release(app, ticket, order).await?)
    }
}
