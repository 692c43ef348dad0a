use std::time::Duration;

use testing::builders::{RESERVATION, order_cancelled};

use crate::{Fault, PaymentsApp};

#[tokio::test]
async fn an_authorisation_with_a_lost_response_is_not_repeated() {
    for fault in [Fault::ResponseLost, Fault::NotSent] {
        let mut app = PaymentsApp::start().await;
        let order = app.order().await;
        app.gateway.fail([fault]);
        app.pay(&order).await.expect(503);
        let _workers = app.service.start_workers();
        app.wait_for_statuses(&order, &["authorised"]).await;
        assert_eq!(app.stripe.intents().await, [[""; 0]]);
        assert_eq!(app.service.published().await.len(), 1);
    }
}

#[tokio::test]
async fn a_decline_with_a_lost_response_is_recorded() {
    let mut app = PaymentsApp::start().await;
    let order = app.order().await;
    app.gateway.fail([Fault::ResponseLost]);
    app.pay_with(&order, "tok_chargeDeclined").await.expect(503);
    let _workers = app.service.start_workers();
    app.wait_for_statuses(&order, &["declined"]).await;
}

#[tokio::test]
async fn settling_is_retried_until_stripe_responds() {
    let mut app = PaymentsApp::start().await;
    let order = app.order().await;
    app.gateway.fail([Fault::NotSent; 4]);
    app.pay(&order).await.expect(503);
    let _workers = app.service.start_workers();
    app.wait_for_statuses(&order, &["authorised"]).await;
    assert!(app.gateway.faults.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_payment_settled_after_its_order_has_ended_is_voided() {
    for ending in ["cancelled", "expired"] {
        for void in [None, Some(Fault::NotSent), Some(Fault::ResponseLost)] {
            let mut app = PaymentsApp::start().await;
            let order = app.order().await;
            app.gateway.fail([Fault::ResponseLost]);
            app.pay(&order).await.expect(503);
            if ending == "cancelled" {
                app.service.deliver_once(&order_cancelled(&order)).await.expect_err("a payment is in flight");
            } else {
                app.env.clock.advance(RESERVATION);
            }
            // The authorisation fails again, then succeeds; then comes the void.
            app.gateway.fail([Some(Fault::ResponseLost), None, void]);
            let _workers = app.service.start_workers();
            app.wait_for_statuses(&order, &["voided"]).await;
            assert_eq!(app.stripe.intents().await, [["cancel"]]);
            assert!(app.service.published().await.is_empty());
        }
    }
}

#[tokio::test]
async fn a_payment_is_not_abandoned_while_its_request_may_be_running() {
    let mut app = PaymentsApp::start().await;
    let (first, older, younger) = (app.order().await, app.order().await, app.order().await);
    app.gateway.fail([Fault::NotSent]);
    app.pay(&first).await.expect(503);
    let _workers = app.service.start_workers();
    // The first sweep treats every payment as abandoned, so wait until it is over.
    app.wait_for_statuses(&first, &["authorised"]).await;

    app.gateway.fail([Fault::NotSent]);
    app.pay(&older).await.expect(503);
    app.env.clock.advance(Duration::from_secs(6));
    app.gateway.fail([Fault::NotSent]);
    app.pay(&younger).await.expect(503);
    app.env.clock.advance(Duration::from_secs(5));
    app.wait_for(async || app.statuses(&older).await == ["authorised"]).await;
    assert_eq!(app.statuses(&younger).await, ["processing"]);
    app.wait_for_statuses(&younger, &["authorised"]).await;
}

#[tokio::test]
async fn an_interrupted_void_is_finished_after_a_restart() {
    for fault in [Fault::NotSent, Fault::ResponseLost] {
        let mut app = PaymentsApp::start().await;
        let order = app.order().await;
        app.gateway.hold_responses();
        let (paid, ()) = tokio::join!(app.pay(&order), async {
            app.gateway.authorisation_responded().await;
            app.env.clock.advance(RESERVATION);
            app.gateway.fail([fault]);
            app.gateway.release_responses();
        });
        paid.expect(503);
        assert_eq!(app.statuses(&order).await, ["voiding"]);
        app.service.deliver_once(&order_cancelled(&order)).await.expect_err("a payment is in flight");
        assert_eq!(app.statuses(&order).await, ["voiding"]);

        app.restart();
        let _workers = app.service.start_workers();
        // Without advancing the clock: the first sweep does not wait.
        app.wait_for(async || app.statuses(&order).await == ["voided"]).await;
        assert_eq!(app.stripe.intents().await, [["cancel"]]);
        assert!(app.service.published().await.is_empty());
        app.service.deliver(&order_cancelled(&order)).await;
    }
}
