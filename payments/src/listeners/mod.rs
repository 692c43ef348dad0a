//! What becomes of the money when something becomes of an order: one file an event.

mod order_cancelled;
mod order_completed;
mod order_created;

pub(crate) use order_cancelled::OrderCancelledListener;
pub(crate) use order_completed::OrderCompletedListener;
pub(crate) use order_created::OrderCreatedListener;

use common::bus::ListenError;
use common::ids::OrderId;
use common::store::StoreError;

use crate::AppState;
use crate::order::{News, OrderCopy};

/// Writes news of an order into its copy.
async fn note(
    app: &AppState,
    order: OrderId,
    mut apply: impl FnMut(&mut OrderCopy) -> News,
) -> Result<(), ListenError> {
    let mut news = News::TooEarly;
    let noted = app.orders.update(order, |copy| {
        news = apply(copy);
        Ok::<_, StoreError>(None)
    });
    noted.await?;
    match news {
        News::Known => Ok(()),
        News::TooEarly => Err(ListenError::Retry(format!("older news of order {order} is missing"))),
        News::Absurd => Err(ListenError::Reject(format!("order {order} has ended otherwise"))),
    }
}
