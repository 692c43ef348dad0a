//! Money follows the order under every interleaving of steps and faults.

use std::time::Duration;

use common::clock::Clock;
use common::events::{OrderCreated, OrderStatus};
use proptest::prelude::*;
use serde_json::json;
use testing::builders::{order_cancelled, order_completed};
use testing::{Reply, Workers};
use tokio::task::JoinHandle;

use crate::{Fault, PaymentsApp};

/// One step of a scenario.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The buyer pays, with these faults of the next two requests to Stripe.
    Pay(&'static str, [Option<Fault>; 2]),
    /// The buyer begins to pay. The next steps run concurrently.
    BeginToPay(&'static str, [Option<Fault>; 2]),
    /// The orders service handles `payment:created`.
    Complete,
    /// The buyer cancels.
    Cancel,
    /// The order expires.
    Expire,
    /// The end of the order is delivered once.
    Deliver,
    /// The service restarts while requests to the old instance may be in flight.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = || prop_oneof![3 => Just(None), 1 => Just(Some(Fault::NotSent)), 1 => Just(Some(Fault::ResponseLost))];
    let token = || prop_oneof![4 => Just("tok_visa"), 1 => Just("tok_chargeDeclined")];
    prop_oneof![
        2 => (token(), [fault(), fault()]).prop_map(|(token, faults)| Step::Pay(token, faults)),
        2 => (token(), [fault(), fault()]).prop_map(|(token, faults)| Step::BeginToPay(token, faults)),
        2 => Just(Step::Complete),
        1 => Just(Step::Cancel),
        1 => Just(Step::Expire),
        3 => Just(Step::Deliver),
        1 => Just(Step::Restart),
    ]
}

/// The payments service and a model of the orders service.
struct Scenario {
    app: PaymentsApp,
    order: OrderCreated,
    status: OrderStatus,
    workers: Workers,
    paying: Vec<JoinHandle<Reply>>,
    replies: Vec<Reply>,
}

impl Scenario {
    async fn new() -> Self {
        let mut app = PaymentsApp::start().await;
        let order = app.order().await;
        let workers = app.service.start_workers();
        Self { app, order, status: OrderStatus::Created, workers, paying: Vec::new(), replies: Vec::new() }
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Pay(token, faults) => {
                self.app.gateway.fail(faults);
                self.replies.push(self.app.pay_with(&self.order, token).await);
            }
            Step::BeginToPay(token, faults) => {
                self.app.gateway.fail(faults);
                let body = json!({"token": token, "orderId": self.order.id});
                let request = self.app.service.post("/api/payments").by(&self.app.ann).json(&body);
                self.paying.push(tokio::spawn(request.send()));
            }
            Step::Complete => {
                if !self.app.service.published().await.is_empty() && self.status == OrderStatus::Created {
                    self.status = OrderStatus::Complete;
                }
            }
            Step::Cancel => self.cancel(),
            Step::Expire => {
                let clock = &self.app.env.clock;
                clock.advance(self.order.expires_at.since(clock.now()));
                self.cancel();
            }
            Step::Deliver => {
                self.deliver().await;
            }
            Step::Restart => {
                self.app.restart();
                self.workers = self.app.service.start_workers();
            }
        }
    }

    fn cancel(&mut self) {
        if self.status == OrderStatus::Created {
            self.status = OrderStatus::Cancelled;
        }
    }

    /// Delivers the end of the order, if any. Returns whether it was handled.
    async fn deliver(&self) -> bool {
        match self.status {
            OrderStatus::Created | OrderStatus::AwaitingPayment => true,
            OrderStatus::Cancelled => self.app.service.deliver_once(&order_cancelled(&self.order)).await.is_ok(),
            OrderStatus::Complete => self.app.service.deliver_once(&order_completed(&self.order)).await.is_ok(),
        }
    }

    /// Finishes the requests in flight and settles every payment.
    async fn settle(&mut self) {
        for paying in self.paying.drain(..) {
            self.replies.push(paying.await.expect("a reply"));
        }
        self.app.gateway.faults.lock().expect("no poison").clear();
        let app = &self.app;
        app.wait_for(async || {
            app.env.clock.advance(Duration::from_secs(1));
            let statuses = app.statuses(&self.order).await;
            !statuses.iter().any(|status| status == "processing" || status == "voiding")
        })
        .await;
        self.run(Step::Complete).await;
        assert!(self.deliver().await && self.deliver().await);
    }

    async fn check(&self) {
        let statuses = self.app.statuses(&self.order).await;
        let intents = self.app.stripe.intents().await;
        let last = |intent: &Vec<String>| intent.last().cloned().unwrap_or_else(|| "held".to_owned());
        let mut kept: Vec<String> = intents.iter().map(last).collect();
        kept.retain(|last| last != "cancel" && last != "refund");
        let expected: &[&str] = if self.status == OrderStatus::Complete { &["capture"] } else { &[] };
        assert_eq!(kept, expected, "{:?}: {statuses:?}, {intents:?}", self.status);
        let captured = statuses.iter().filter(|status| *status == "captured").count();
        assert_eq!(captured, expected.len(), "{:?}: {statuses:?}", self.status);
        assert!(!statuses.contains(&"authorised".to_owned()));
        assert!(self.replies.iter().filter(|reply| reply.status == 201).count() <= 1);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn money_is_captured_for_complete_orders_and_released_otherwise(steps in prop::collection::vec(step(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut scenario = Scenario::new().await;
            for step in steps {
                scenario.run(step).await;
            }
            scenario.settle().await;
            scenario.check().await;
        });
    }
}
