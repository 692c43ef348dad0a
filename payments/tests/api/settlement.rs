use std::time::Duration;

use crate::{Fault, PaymentsApp, cancelled};

#[tokio::test]
async fn an_authorisation_whose_answer_was_lost_is_not_made_twice() {
    for fault in [Fault::AnswerLost, Fault::NotSent] {
        let mut app = PaymentsApp::start().await;
        let order = app.order().await;
        app.wire.fail([fault]);
        app.pay(&order).await.expect(503);
        let _workers = app.service.start_workers();
        app.wait_for_statuses(&order, &["authorised"]).await;
        assert_eq!(app.stripe.intents().await, [[""; 0]]);
        assert_eq!(app.service.published().await.len(), 1);
    }
}

#[tokio::test]
async fn a_decline_whose_answer_was_lost_is_learnt() {
    let mut app = PaymentsApp::start().await;
    let order = app.order().await;
    app.wire.fail([Fault::AnswerLost]);
    app.pay_with(&order, "tok_chargeDeclined").await.expect(503);
    let _workers = app.service.start_workers();
    app.wait_for_statuses(&order, &["declined"]).await;
}

#[tokio::test]
async fn an_attempt_stays_open_while_stripe_is_silent() {
    let mut app = PaymentsApp::start().await;
    let order = app.order().await;
    app.wire.fail([Fault::NotSent; 4]);
    app.pay(&order).await.expect(503);
    let _workers = app.service.start_workers();
    app.wait_for_statuses(&order, &["authorised"]).await;
    assert!(app.wire.faults.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_settled_after_the_order_has_ended_is_voided() {
    for ending in ["cancelled", "expired"] {
        for void in [None, Some(Fault::NotSent), Some(Fault::AnswerLost)] {
            let mut app = PaymentsApp::start().await;
            let order = app.order().await;
            app.wire.fail([Fault::AnswerLost]);
            app.pay(&order).await.expect(503);
            if ending == "cancelled" {
                app.service.deliver_once(&cancelled(&order)).await.expect_err("an attempt is in flight");
            } else {
                app.env.clock.advance(crate::RESERVATION);
            }
            // The authorisation asked for again, without an answer and then with one, and the void.
            app.wire.fail([Some(Fault::AnswerLost), None, void]);
            let _workers = app.service.start_workers();
            app.wait_for_statuses(&order, &["voided"]).await;
            assert_eq!(app.stripe.intents().await, [["cancel"]]);
            assert!(app.service.published().await.is_empty());
        }
    }
}

#[tokio::test]
async fn whoever_began_an_attempt_is_left_to_it() {
    let mut app = PaymentsApp::start().await;
    let (first, older, younger) = (app.order().await, app.order().await, app.order().await);
    app.wire.fail([Fault::NotSent]);
    app.pay(&first).await.expect(503);
    let _workers = app.service.start_workers();
    // The first look is for what a crash has left, and sees to everything.
    app.wait_for_statuses(&first, &["authorised"]).await;

    app.wire.fail([Fault::NotSent]);
    app.pay(&older).await.expect(503);
    app.env.clock.advance(Duration::from_secs(6));
    app.wire.fail([Fault::NotSent]);
    app.pay(&younger).await.expect(503);
    app.env.clock.advance(Duration::from_secs(5));
    app.wait_for(async || app.statuses(&older).await == ["authorised"]).await;
    assert_eq!(app.statuses(&younger).await, ["processing"]);
    app.wait_for_statuses(&younger, &["authorised"]).await;
}
