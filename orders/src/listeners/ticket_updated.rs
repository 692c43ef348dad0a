use async_trait::async_trait;
use common::events::TicketUpdated;
use common::listener::{ListenError, Listener};

use crate::AppState;

/// Updates the copy of a ticket.
pub(crate) struct TicketUpdatedListener;

#[async_trait]
impl Listener<AppState> for TicketUpdatedListener {
    type Event = TicketUpdated;
    const NAME: &'static str = "orders_ticket-updated";

    async fn on_message(app: &AppState, event: TicketUpdated) -> Result<(), ListenError> {
        app.tickets.apply(event.into()).await.map(drop)
    }
}
