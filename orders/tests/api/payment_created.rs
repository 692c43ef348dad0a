use common::events::Subject;
use serde_json::json;

use crate::{OrdersApp, ended, time_is_up, unknown_order};

#[tokio::test]
async fn a_paid_order_is_complete_once() {
    let app = OrdersApp::new();
    let order = app.placed_order().await;
    let mut expected = app.found(order).await;
    app.service.deliver(&app.payment_created(order)).await;
    (expected["status"], expected["version"]) = (json!("complete"), json!(1));
    assert_eq!(app.found(order).await, expected);
    assert_eq!(app.service.published().await, [ended(Subject::OrderCompleted, &expected)]);
}

#[tokio::test]
async fn a_cancelled_order_is_never_complete() {
    let app = OrdersApp::new();
    let order = app.placed_order().await;
    app.cancel(order).await.expect(204);
    app.service.published().await;
    app.service.deliver(&app.payment_created(order)).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn a_payment_after_the_time_is_up_counts_until_the_order_is_cancelled() {
    let app = OrdersApp::new();
    let order = app.placed_order().await;
    app.let_orders_expire();
    app.service.deliver(&app.payment_created(order)).await;
    app.service.published().await;
    app.service.deliver(&time_is_up(order)).await;
    app.expect_unchanged(order, "complete", 1).await;
}

/// Whoever writes first decides; the other one meets a newer order.
#[tokio::test]
async fn a_payment_a_cancellation_and_the_end_of_time_at_once_are_one_change() {
    let app = OrdersApp::new();
    let decided = async |paid_first| {
        let order = app.placed_order().await;
        let paid = app.payment_created(order);
        app.let_orders_expire();
        let up = time_is_up(order);
        if paid_first {
            let (_, cancelled, _) =
                tokio::join!(app.service.deliver(&paid), app.cancel(order), app.service.deliver(&up));
            cancelled.expect_error(400, "Cannot cancel a completed order");
        } else {
            let (cancelled, ..) = tokio::join!(app.cancel(order), app.service.deliver(&up), app.service.deliver(&paid));
            cancelled.expect(204);
        }
        let published = app.service.published().await;
        assert_eq!(published.len(), 1, "{published:?}");
        let found = app.found(order).await;
        assert_eq!(published[0], ended(published[0].0, &found));
        (found["status"].clone(), found["version"].clone())
    };
    assert_eq!(decided(true).await, (json!("complete"), json!(1)));
    assert_eq!(decided(false).await, (json!("cancelled"), json!(1)));
}

#[tokio::test]
async fn what_makes_no_sense_is_rejected() {
    let app = OrdersApp::new();
    app.expect_reject(&app.payment_created(unknown_order())).await;
    app.expect_events_only(Subject::PaymentCreated).await;
}
