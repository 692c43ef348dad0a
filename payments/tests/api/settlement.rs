use std::time::Duration;

use testing::builders::{order_cancelled, order_completed};

use crate::PaymentsApp;
use crate::line::Fault;

#[tokio::test]
async fn a_hold_whose_responses_were_lost_is_found_and_announced_once() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.fail([None, Some(Fault::ResponseLost), Some(Fault::NotSent)]);
    app.pay(&order).await.expect(503);
    app.wait_for_statuses(&order, &["authorised"]).await;
    assert_eq!(app.line.statuses().await, ["requires_capture"]);
    assert_eq!(app.service.published().await.len(), 1);
}

#[tokio::test]
async fn a_payment_that_was_never_confirmed_is_given_up_not_charged() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.fail([None, Some(Fault::NotSent), Some(Fault::NotSent)]);
    app.pay(&order).await.expect(503);
    app.wait_for_statuses(&order, &["voided"]).await;
    assert_eq!(app.line.statuses().await, ["canceled"]);
    app.pay(&order).await.expect(201);
}

/// The request of the buyer has claimed the payment.
#[tokio::test]
async fn a_starting_replica_does_not_interfere_with_a_payment_in_flight() {
    let mut app = PaymentsApp::start();
    let order = app.order().await;
    app.line.hold_responses();
    let body = serde_json::json!({"token": "tok_visa", "orderId": order.id});
    let paying = tokio::spawn(app.service.post("/api/payments").by(&app.ann).json(&body).send());
    app.line.confirmed().await;
    app.line.take_calls();
    app.restart();
    app.env.clock.advance(Duration::from_secs(5));
    app.wait_for(async || app.line.take_calls() == ["GET /v1/payment_intents"]).await;
    app.line.release_responses();
    paying.await.unwrap().expect(201);
}

#[tokio::test]
async fn a_payment_whose_process_was_killed_is_settled_by_the_next() {
    let mut app = PaymentsApp::start();
    let order = app.order().await;
    app.pay(&order).await.expect(201);
    app.line.set_down(true);
    app.service.deliver(&order_completed(&order)).await;
    app.wait_for_statuses(&order, &["capturing"]).await;
    app.restart();
    app.line.set_down(false);
    app.wait_for_statuses(&order, &["captured"]).await;
}

#[tokio::test]
async fn an_outage_of_two_hours_costs_few_requests_and_every_hold_is_released_after_it() {
    let app = PaymentsApp::start();
    let mut orders = Vec::new();
    for _ in 0..20 {
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        orders.push(order);
    }
    app.line.set_down(true);
    for order in &orders {
        app.service.deliver(&order_cancelled(order)).await;
    }
    app.line.take_calls();
    let mut calls = 0;
    for _ in 0..7200 {
        app.env.clock.advance(Duration::from_secs(1));
        tokio::task::yield_now().await;
        calls += app.line.take_calls().len();
    }
    // Each payment may be tried once before the outage is noticed.
    assert!(calls < 400, "{calls} requests in two hours");
    app.line.set_down(false);
    for order in &orders {
        app.wait_for_statuses(order, &["voided"]).await;
    }
    assert_eq!(app.line.statuses().await, ["canceled"; 20]);
}

/// More than the worker settles at once. The clock stands still.
#[tokio::test]
async fn captures_do_not_wait_for_the_next_look_at_the_clock() {
    let mut app = PaymentsApp::new();
    let mut orders = Vec::new();
    for _ in 0..40 {
        let order = app.order().await;
        app.pay(&order).await.expect(201);
        orders.push(order);
    }
    for order in &orders {
        app.service.deliver(&order_completed(order)).await;
    }
    app.start_worker();
    for order in &orders {
        app.wait_for(async || app.statuses(order).await == ["captured"]).await;
    }
}
