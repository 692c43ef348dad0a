use common::events::Subject;
use serde_json::json;

use crate::{OrdersApp, expiration_complete, order_ended, unknown_order};

#[tokio::test]
async fn a_paid_order_completes_once() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    let mut expected = app.find_order(order).await;
    app.service.deliver(&app.payment_created(order)).await;
    (expected["status"], expected["version"]) = (json!("complete"), json!(1));
    assert_eq!(app.find_order(order).await, expected);
    assert_eq!(app.service.published().await, [order_ended(Subject::OrderCompleted, &expected)]);
}

#[tokio::test]
async fn a_cancelled_order_never_completes() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.cancel(order).await.expect(204);
    app.service.published().await;
    app.service.deliver(&app.payment_created(order)).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn a_late_payment_completes_an_order_not_yet_cancelled() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.advance_past_expiry();
    app.service.deliver(&app.payment_created(order)).await;
    app.service.published().await;
    app.service.deliver(&expiration_complete(order)).await;
    app.expect_unchanged(order, "complete", 1).await;
}

/// The first write decides; the others conflict and read the newer order.
#[tokio::test]
async fn concurrent_payment_cancellation_and_expiry_are_one_change() {
    let app = OrdersApp::new();
    let decided = async |paid_first| {
        let order = app.place_order().await;
        let (paid, expired) = (app.payment_created(order), expiration_complete(order));
        app.advance_past_expiry();
        if paid_first {
            let (_, cancelled, _) =
                tokio::join!(app.service.deliver(&paid), app.cancel(order), app.service.deliver(&expired));
            cancelled.expect_error(400, "Cannot cancel a completed order");
        } else {
            let (cancelled, ..) =
                tokio::join!(app.cancel(order), app.service.deliver(&expired), app.service.deliver(&paid));
            cancelled.expect(204);
        }
        let published = app.service.published().await;
        assert_eq!(published.len(), 1, "{published:?}");
        let found = app.find_order(order).await;
        assert_eq!(published[0], order_ended(published[0].0, &found));
        (found["status"].clone(), found["version"].clone())
    };
    assert_eq!(decided(true).await, (json!("complete"), json!(1)));
    assert_eq!(decided(false).await, (json!("cancelled"), json!(1)));
}

#[tokio::test]
async fn malformed_events_and_unknown_records_are_rejected() {
    let app = OrdersApp::new();
    app.expect_reject(&app.payment_created(unknown_order())).await;
    app.expect_malformed_rejected(Subject::PaymentCreated).await;
}
