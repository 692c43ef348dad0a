use async_trait::async_trait;
use common::events::OrderCreated;
use common::listener::{ListenError, Listener};
use common::store::StoreError;

use super::release::release;
use crate::AppState;
use crate::error::TicketError;
use crate::reservation::{Reservation, ReservationStatus};

/// Reserves the ticket for a new order.
pub(crate) struct OrderCreatedListener;

#[async_trait]
impl Listener<AppState> for OrderCreatedListener {
    type Event = OrderCreated;
    const NAME: &'static str = "tickets_order-created";

    /// Reads the ticket, then the reservation, and writes both in the same order. A concurrent cancellation records itself
    /// before it touches the ticket, so either we read its record or one of our writes conflicts. After a conflict we
    /// start over and read the record then.
    async fn on_message(app: &AppState, event: OrderCreated) -> Result<(), ListenError> {
        let (order, id) = (event.id, event.ticket.id);
        loop {
            let Some(mut ticket) = app.tickets.get(id).await? else {
                return Err(ListenError::reject(TicketError::UnknownTicket(id)));
            };
            match app.reservations.get(order).await?.map(|reservation| reservation.status) {
                None => {}
                Some(ReservationStatus::Created) => return Ok(()),
                Some(ReservationStatus::Cancelled) => return Ok(release(app, id, order).await?),
            }
            if let Some(event) = ticket.reserve(order) {
                match app.tickets.replace(&ticket, event).await {
                    Err(StoreError::Conflict) => continue,
                    written => written?,
                }
            } else if ticket.order_id != Some(order) {
                // Two live orders of a ticket are impossible, so the other's `order:cancelled` is on its way.
                return Err(ListenError::retry(format!("ticket {id} is still reserved for another order")));
            }
            match app.reservations.insert(&Reservation::created(order, id), ()).await {
                // Cancelled in the meantime: start over and release the ticket.
                Err(StoreError::Conflict) => {}
                written => return Ok(written?),
            }
        }
    }
}
