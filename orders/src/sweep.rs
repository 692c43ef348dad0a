//! The sweep: cancels reservations whose expiry has been lost.
//!
//! `expiration:complete` cancels an order on time. If it is lost, for example with a Redis that was restored from an
//! older copy, the order would keep its ticket for good.

use std::time::Duration;

use common::clock::Timestamp;
use common::error::chain;
use common::ids::{OrderId, RecordId};
use common::store::{Query, StoreError};
use common::trace::in_new_trace;
use metrics::counter;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::AppState;
use crate::error::OrderError;
use crate::order::Order;

/// How long after its time an order is overdue.
const GRACE: Duration = Duration::from_secs(5);

/// How often to look for overdue orders.
const INTERVAL: Duration = Duration::from_secs(5);

/// How many orders to read at once.
const BATCH: usize = 100;

/// Cancels overdue orders until `stop`.
pub(crate) async fn run(app: AppState, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = in_new_trace("sweep", cancel_overdue(&app)).await {
            warn!(error = chain(&error), "could not cancel overdue orders, will retry");
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = app.clock.sleep_until(app.clock.now().plus(INTERVAL)) => {}
        }
    }
}

/// Reads only what can be overdue: ids are ordered by the time of the order.
async fn cancel_overdue(app: &AppState) -> Result<(), OrderError> {
    let due = app.clock.now().minus(GRACE);
    // Ids have whole seconds.
    let mut after = OrderId::earliest(due.minus(app.reservation).plus(Duration::from_secs(1)));
    loop {
        let open = app.orders.find(Query::newest(BATCH).with(Order::OPEN, Order::YES).after(Some(after))).await?;
        let Some(last) = open.last() else { return Ok(()) };
        after = last.id;
        for order in open {
            cancel(app, order.id, due).await?;
        }
    }
}

async fn cancel(app: &AppState, id: OrderId, due: Timestamp) -> Result<(), OrderError> {
    let mut is_cancelled = false;
    let cancelled = app.orders.update(id, |order| -> Result<_, StoreError> {
        // The order may have been placed while reservations lasted longer.
        let event = order.expire(due).unwrap_or_default();
        is_cancelled = event.is_some();
        Ok(event)
    });
    cancelled.await?;
    if is_cancelled {
        counter!("orders_swept_total").increment(1);
        warn!(order_id = %id, "an order was overdue, its expiry has been lost");
    }
    Ok(())
}
