//! What orders do to delayed jobs: one file an event.

mod order_cancelled;
mod order_completed;
mod order_created;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_completed::OrderCompletedListener;
pub(crate) use order_created::OrderCreatedListener;
