use async_trait::async_trait;
use common::events::OrderCreated;
use common::listener::{ListenError, Listener};
use common::store::StoreError;

use super::release::release;
use crate::AppState;
use crate::reservation::{Reservation, ReservationStatus};

/// Reserves the ticket for a new order.
pub(crate) struct OrderCreatedListener;

#[async_trait]
impl Listener<AppState> for OrderCreatedListener {
    type Event = OrderCreated;
    const NAME: &'static str = "tickets_order-created";

    /// Reads the ticket, then the reservation, and writes the ticket last, on the version it read. A concurrent
    /// cancellation records itself before touching the ticket. So either we see its record, or our write meets a newer
    /// ticket, or our own record meets it; in each case we start over.
    async fn on_message(app: &AppState, event: OrderCreated) -> Result<(), ListenError> {
        let (order, id) = (event.id, event.ticket.id);
        loop {
            let Some(mut ticket) = app.tickets.get(id).await? else {
                return Err(ListenError::reject(format!("ticket {id} does not exist")));
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
                // The other order must have been cancelled; that event has not arrived yet.
                return Err(ListenError::retry(format!("ticket {id} is still reserved for another order")));
            }
            match app.reservations.insert(&Reservation::created(order, id), ()).await {
                // Cancelled in the meantime.
                Err(StoreError::Conflict) => {}
                written => return Ok(written?),
            }
        }
    }
}
