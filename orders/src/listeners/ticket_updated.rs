use async_trait::async_trait;
use common::bus::{ListenError, Listener};
use common::events::TicketUpdated;

use crate::AppState;
use crate::ticket::TicketCopy;

/// Keeps the copy of a ticket up to date, version by version.
pub(crate) struct TicketUpdatedListener;

#[async_trait]
impl Listener<AppState> for TicketUpdatedListener {
    type Event = TicketUpdated;
    const NAME: &'static str = "orders_ticket-updated";

    async fn on_message(app: &AppState, event: TicketUpdated) -> Result<(), ListenError> {
        let TicketUpdated { id, version, title, price, .. } = event;
        match app.tickets.get_reaching(id, version.saturating_sub(1)).await? {
            Some(copy) if copy.version >= version => Ok(()),
            Some(copy) if copy.version + 1 == version => {
                Ok(app.tickets.replace(&TicketCopy { id, version, title, price }, None).await?)
            }
            _ => Err(ListenError::Retry(format!(
                "ticket {id} has not reached version {} here",
                version.saturating_sub(1)
            ))),
        }
    }
}
