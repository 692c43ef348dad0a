use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::TicketCreated;
use common::store::StoreError;

use crate::AppState;
use crate::ticket::TicketCopy;

/// Copies a new ticket.
pub(crate) struct TicketCreatedListener;

#[async_trait]
impl Listener<AppState> for TicketCreatedListener {
    type Event = TicketCreated;
    const NAME: &'static str = "orders_ticket-created";

    async fn on_message(app: &AppState, event: TicketCreated) -> Result<(), ListenError> {
        let TicketCreated { id, version, title, price, user_id: _ } = event;
        match app.tickets.insert(&TicketCopy { id, version, title, price }, None).await {
            // It is there, in this version or a later one.
            Err(StoreError::Conflict) => Ok(()),
            written => Ok(written?),
        }
    }
}
