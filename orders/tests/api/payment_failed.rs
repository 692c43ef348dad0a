use common::events::PaymentFailure::{CaptureFailed, Refunded};
use common::events::Subject;
use common::ids::OrderId;
use common::listener::ListenError;
use orders::CaptureFailure;
use serde_json::json;
use testing::builders::payment_failed;

use crate::{OrdersApp, order_ended, unknown_order};

impl OrdersApp {
    /// Orders a new ticket, pays and takes all events from the outbox.
    async fn place_paid_order(&self) -> OrderId {
        let order = self.place_order().await;
        self.service.deliver(&self.payment_created(order)).await;
        self.service.published().await;
        order
    }

    /// Expects that a complete order was cancelled, once.
    async fn expect_revoked(&self, order: OrderId) {
        let found = self.find_order(order).await;
        assert_eq!((&found["status"], &found["version"]), (&json!("cancelled"), &json!(2)));
        assert_eq!(self.service.published().await, [order_ended(Subject::OrderCancelled, &found)]);
    }
}

#[tokio::test]
async fn a_complete_order_whose_payment_failed_is_cancelled_once() {
    for reason in [CaptureFailed, Refunded] {
        let app = OrdersApp::new();
        let order = app.place_paid_order().await;
        app.service.deliver(&payment_failed(&app.payment_created(order), reason)).await;
        app.expect_revoked(order).await;
    }
}

#[tokio::test]
async fn a_failed_payment_frees_the_ticket() {
    let app = OrdersApp::new();
    let ticket = app.new_ticket().await;
    let order = app.place_order_of(ticket).await;
    app.service.deliver(&app.payment_created(order)).await;
    app.order(&app.buyer, ticket).await.expect_error(400, "Ticket is already reserved");
    app.service.deliver(&payment_failed(&app.payment_created(order), CaptureFailed)).await;
    app.order(&app.buyer, ticket).await.expect(201);
}

#[tokio::test]
async fn an_order_kept_despite_a_failed_capture_does_not_change() {
    let app = OrdersApp::with(CaptureFailure::Keep);
    let order = app.place_paid_order().await;
    app.service.deliver(&payment_failed(&app.payment_created(order), CaptureFailed)).await;
    app.expect_unchanged(order, "complete", 1).await;
}

#[tokio::test]
async fn a_refunded_order_is_cancelled_even_if_failed_captures_keep_theirs() {
    let app = OrdersApp::with(CaptureFailure::Keep);
    let order = app.place_paid_order().await;
    app.service.deliver(&payment_failed(&app.payment_created(order), Refunded)).await;
    app.expect_revoked(order).await;
}

#[tokio::test]
async fn a_cancelled_order_does_not_change_when_its_payment_fails() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    app.cancel(order).await.expect(204);
    app.service.published().await;
    app.service.deliver(&payment_failed(&app.payment_created(order), CaptureFailed)).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

/// The failure overtook the event of the payment.
#[tokio::test]
async fn an_order_whose_payment_failed_never_completes() {
    let app = OrdersApp::new();
    let order = app.place_order().await;
    let paid = app.payment_created(order);
    app.service.deliver(&payment_failed(&paid, Refunded)).await;
    app.service.published().await;
    app.service.deliver(&paid).await;
    app.expect_unchanged(order, "cancelled", 1).await;
}

#[tokio::test]
async fn malformed_events_and_unknown_records_are_rejected() {
    let app = OrdersApp::new();
    let unknown = app.payment_created(unknown_order());
    for reason in [CaptureFailed, Refunded] {
        app.expect_reject(&payment_failed(&unknown, reason)).await;
    }
    let invalid = payment_failed(&app.payment_created(app.place_order().await), Refunded);
    let invalid = serde_json::to_string(&invalid).unwrap().replace("refunded", "lost");
    let delivered = app.service.deliver_payload(Subject::PaymentFailed, &invalid).await;
    assert!(matches!(delivered, Err(ListenError::Reject(_))), "{delivered:?}");
    app.expect_malformed_rejected(Subject::PaymentFailed).await;
}
