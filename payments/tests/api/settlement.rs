use std::time::Duration;

use common::events::{OrderCreated, Subject};
use testing::builders::{order_cancelled, order_completed};

use crate::PaymentsApp;
use crate::line::Fault;

impl PaymentsApp {
    /// Lets time pass. Returns whether the newest payment of an order is settled like this.
    async fn is_settled(&self, order: &OrderCreated, status: &str) -> bool {
        self.env.clock.advance(Duration::from_secs(5));
        self.statuses(order).await.first().is_some_and(|newest| newest == status)
    }
}

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
    app.line.hold("/confirm");
    let body = serde_json::json!({"token": "tok_visa", "orderId": order.id});
    let paying = tokio::spawn(app.service.post("/api/payments").by(&app.ann).json(&body).send());
    app.line.held().await;
    app.line.take_calls();
    app.restart();
    app.env.clock.advance(Duration::from_secs(5));
    // The worker runs: it has read the lists of the audit, and nothing else.
    app.wait_for(async || app.line.calls() == ["GET /v1/payment_intents", "GET /v1/refunds"]).await;
    app.line.release_all();
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

/// Stripe stores each failure under its idempotency key for a day.
#[tokio::test]
async fn on_a_day_on_which_one_call_in_three_fails_nobody_is_charged_wrongly() {
    let app = PaymentsApp::start();
    app.line.fail_one_in_three(17);
    let (mut complete, mut cancelled) = (Vec::new(), Vec::new());
    for number in 0..30 {
        let order = app.order().await;
        for _ in 0..3 {
            let reply = app.pay(&order).await;
            assert!([201, 503].contains(&reply.status.as_u16()), "{} {}", reply.status, reply.body);
            if reply.status == 201 {
                break;
            }
        }
        let mut events = Vec::new();
        for _ in 0..192 {
            app.env.clock.advance(Duration::from_secs(15));
            events.extend(app.service.published().await);
        }
        // Some buyers cancel although they have paid.
        let is_paid = events.iter().any(|(subject, _)| *subject == Subject::PaymentCreated) && number % 5 != 0;
        if is_paid {
            app.service.deliver(&order_completed(&order)).await;
            complete.push(order);
        } else {
            app.service.deliver(&order_cancelled(&order)).await;
            cancelled.push(order);
        }
    }
    assert!(complete.len() >= 15 && cancelled.len() >= 6, "{} complete, {} cancelled", complete.len(), cancelled.len());
    for order in &complete {
        app.wait_for(async || app.is_settled(order, "captured").await).await;
    }
    for order in &cancelled {
        app.wait_for(async || app.is_settled(order, "voided").await).await;
    }
    let statuses = app.line.statuses().await;
    assert!(statuses.len() < 100, "the list is not complete");
    let count = |wanted| statuses.iter().filter(|status| *status == wanted).count();
    assert_eq!(count("succeeded"), complete.len());
    // An intent whose creation was not recorded was never confirmed.
    assert_eq!(count("succeeded") + count("canceled") + count("requires_confirmation"), statuses.len(), "{statuses:?}");
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
