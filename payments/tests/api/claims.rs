//! Tasks that meet on a payment, and tasks that were believed dead.

use std::time::Duration;

use common::events::OrderCreated;
use testing::builders::{order_cancelled, order_completed};

use crate::PaymentsApp;
use crate::line::Fault;

/// Longer than a task may work on a payment between two writes.
const LEASE: Duration = Duration::from_secs(60);

impl PaymentsApp {
    /// An order that is complete and whose payment is due to be captured.
    async fn complete_order(&self) -> OrderCreated {
        let order = self.order().await;
        self.pay(&order).await.expect(201);
        self.line.take_calls();
        self.service.deliver(&order_completed(&order)).await;
        order
    }

    /// The operations that Stripe was asked for, without the lists that the audit reads.
    fn operations(&self) -> Vec<String> {
        let calls = self.line.take_calls().into_iter();
        let operation = |call: String| match call.rsplit('/').next() {
            Some(id) if id.starts_with("pi_") => Some("retrieve".to_owned()),
            Some("payment_intents" | "refunds") | None => None,
            Some(operation) => Some(operation.to_owned()),
        };
        calls.filter_map(operation).collect()
    }
}

#[tokio::test]
async fn a_step_that_may_have_been_taken_begins_with_a_look() {
    let app = PaymentsApp::start();
    // The response to the capture is lost, and so is the look after it.
    app.line.fail([None, None, Some(Fault::ResponseLost), Some(Fault::NotSent)]);
    let order = app.complete_order().await;
    app.wait_for_statuses(&order, &["captured"]).await;
    assert_eq!(app.operations(), ["capture", "retrieve", "retrieve"]);
}

#[tokio::test]
async fn two_replicas_do_not_take_the_same_step() {
    const ORDERS: usize = 20;
    let mut app = PaymentsApp::new();
    let mut orders = Vec::new();
    for _ in 0..ORDERS {
        orders.push(app.complete_order().await);
    }
    app.line.take_calls();
    app.start_worker();
    let _replica = app.start_replica();
    for order in &orders {
        app.wait_for(async || app.statuses(order).await == ["captured"]).await;
    }
    assert_eq!(app.operations(), ["capture"; ORDERS]);
}

#[tokio::test]
async fn a_response_that_comes_too_late_changes_nothing() {
    let app = PaymentsApp::start();
    let order = app.order().await;
    app.line.hold("/confirm");
    let (paid, settled) = tokio::join!(app.pay(&order), async {
        app.line.held().await;
        app.service.deliver(&order_cancelled(&order)).await;
        app.wait_for_statuses(&order, &["voided"]).await;
        let settled = app.stored().await;
        app.line.release_all();
        settled
    });
    paid.expect_error(400, "Cannot pay for a cancelled order");
    assert_eq!(app.stored().await, settled);
}

#[tokio::test]
async fn a_task_that_lost_its_claim_stops() {
    let app = PaymentsApp::start();
    app.line.hold("/capture");
    app.line.hold("GET /v1/payment_intents/");
    let order = app.complete_order().await;
    app.line.held().await;
    app.env.clock.advance(LEASE);
    // Now another task has read Stripe's state.
    app.line.held().await;
    app.line.release_one();
    // The first task could go on now.
    for _ in 0..20 {
        assert_eq!(app.statuses(&order).await, ["capturing"]);
    }
    app.line.release_all();
    app.wait_for_statuses(&order, &["captured"]).await;
    assert_eq!(app.operations(), ["capture", "retrieve"]);
}
