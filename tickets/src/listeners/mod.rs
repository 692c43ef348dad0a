//! How events of orders affect tickets, one file per event.

mod order_cancelled;
mod order_created;
mod release;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_created::OrderCreatedListener;
