//! What tickets, payments and time do to orders: one file an event.

mod expiration_complete;
mod payment_created;
mod ticket_created;
mod ticket_updated;

pub(crate) use expiration_complete::ExpirationCompleteListener;
pub(crate) use payment_created::PaymentCreatedListener;
pub(crate) use ticket_created::TicketCreatedListener;
pub(crate) use ticket_updated::TicketUpdatedListener;

use common::bus::ListenError;
use common::ids::OrderId;

/// Orders are made here, so one we do not know was never made.
fn unknown(order: OrderId) -> ListenError {
    ListenError::Reject(format!("there is no order {order}"))
}
