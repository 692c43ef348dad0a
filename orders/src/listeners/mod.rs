//! The listeners: events of tickets, payments and expiration update orders and copies of tickets. One file per event.

mod expiration_complete;
mod payment_created;
mod payment_failed;
mod payment_pending;
mod ticket_created;
mod ticket_updated;

pub(crate) use expiration_complete::ExpirationCompleteListener;
pub(crate) use payment_created::PaymentCreatedListener;
pub(crate) use payment_failed::PaymentFailedListener;
pub(crate) use payment_pending::PaymentPendingListener;
pub(crate) use ticket_created::TicketCreatedListener;
pub(crate) use ticket_updated::TicketUpdatedListener;
