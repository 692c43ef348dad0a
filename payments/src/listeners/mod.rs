//! The listeners: events of orders update their copies, and capture or release the money. One file per event.

mod order_cancelled;
mod order_completed;
mod order_created;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_completed::OrderCompletedListener;
pub(crate) use order_created::OrderCreatedListener;
