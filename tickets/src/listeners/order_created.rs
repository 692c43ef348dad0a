use async_trait::async_trait;
use common::bus::{ListenError, Listener, Message};
use common::events::OrderCreated;
use common::store::StoreError;

use super::release;
use crate::AppState;
use crate::reservation::Reservation;

/// Reserves the ticket for a new order.
pub(crate) struct OrderCreatedListener;

#[async_trait]
impl Listener<AppState> for OrderCreatedListener {
    type Event = OrderCreated;
    const NAME: &'static str = "tickets_order-created";

    /// Ticket first, order second, and the write last, on the ticket's version. Whoever cancels meanwhile notes it
    /// before touching the ticket. So we see that note, or our write meets a newer ticket, or our own note meets
    /// theirs; in each case we look again.
    async fn on_message(app: &AppState, event: OrderCreated) -> Result<(), ListenError> {
        let (order, id) = (event.id, event.ticket.id);
        loop {
            let Some(mut ticket) = app.tickets.get(id).await? else {
                return Err(ListenError::Reject(format!("there is no ticket {id}")));
            };
            match app.reservations.get(order).await? {
                Some(heard) if heard.is_cancelled() => return Ok(release(app, id, order).await?),
                Some(_) => return Ok(()),
                None => {}
            }
            if let Some(event) = ticket.reserve(order) {
                match app.tickets.replace(&ticket, Some(Message::of(&event))).await {
                    Err(StoreError::Conflict) => continue,
                    written => written?,
                }
            } else if ticket.order_id != Some(order) {
                // Only a cancelled order can be in the way; the news of it is still on its way.
                return Err(ListenError::Retry(format!("ticket {id} is still reserved for another order")));
            }
            match app.reservations.insert(&Reservation::created(order, id), None).await {
                // Cancelled meanwhile: look again.
                Err(StoreError::Conflict) => {}
                written => return Ok(written?),
            }
        }
    }
}
