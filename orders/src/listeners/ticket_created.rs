use async_trait::async_trait;
use common::events::TicketCreated;
use common::listener::{ListenError, Listener};

use crate::AppState;

/// Copies a new ticket.
pub(crate) struct TicketCreatedListener;

#[async_trait]
impl Listener<AppState> for TicketCreatedListener {
    type Event = TicketCreated;
    const NAME: &'static str = "orders_ticket-created";

    async fn on_message(app: &AppState, event: TicketCreated) -> Result<(), ListenError> {
        app.tickets.apply(event.into()).await.map(drop)
    }
}
