//! The listeners: events of orders schedule and delete delayed jobs. One file per event.

mod order_cancelled;
mod order_completed;
mod order_created;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_completed::OrderCompletedListener;
pub(crate) use order_created::OrderCreatedListener;
