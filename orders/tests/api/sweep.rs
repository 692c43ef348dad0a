use std::time::Duration;

use common::events::Subject;
use common::ids::OrderId;
use testing::wait_until;

use crate::{OrdersApp, RESERVATION, expiration_complete, order_ended};

/// How long after its time an order is overdue.
const GRACE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_order_whose_expiry_is_lost_is_cancelled_and_frees_its_ticket() {
    let mut app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let order = app.place_order_of(ticket).await;
    let waiting = app.place_order_awaiting_payment().await;
    app.service.published().await;
    let _workers = app.service.start_workers();
    app.env.clock.advance(RESERVATION + GRACE);
    app.wait_until_cancelled(order).await;
    app.wait_until_cancelled(waiting).await;
    let published = app.service.published().await;
    assert_eq!(published.len(), 2);
    assert!(published.contains(&order_ended(Subject::OrderCancelled, &app.find_order(order).await)));
    app.order(&app.buyer, ticket).await.expect(201);
    app.service.published().await;
    // What arrives after all changes nothing.
    app.service.deliver(&expiration_complete(order)).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn the_sweep_leaves_orders_alone_that_have_ended_or_are_not_overdue() {
    let mut app = OrdersApp::new();
    let complete = app.place_order().await;
    app.service.deliver(&app.payment_created(complete)).await;
    let lost = app.place_order().await;
    app.env.clock.advance(Duration::from_secs(1));
    let young = app.place_order().await;
    app.service.published().await;
    let _workers = app.service.start_workers();
    app.env.clock.advance(RESERVATION + GRACE - Duration::from_secs(1));
    app.wait_until_cancelled(lost).await;
    assert_eq!(app.service.published().await.len(), 1);
    app.expect_unchanged(young, "created", 0).await;
    app.expect_unchanged(complete, "complete", 1).await;
}

impl OrdersApp {
    async fn wait_until_cancelled(&self, order: OrderId) {
        wait_until("the order is cancelled", async || {
            (self.find_order(order).await["status"] == "cancelled").then_some(())
        })
        .await;
    }
}
