//! The listeners: events of orders reserve and release tickets. One file per event.

mod order_cancelled;
mod order_created;
mod release;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_created::OrderCreatedListener;
