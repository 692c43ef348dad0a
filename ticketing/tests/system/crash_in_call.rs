//! `kill -9` while a call of Stripe is in flight: after the restart every order's money is where it belongs.

use futures_util::future::join_all;
use testing::system::{Order, System, User, run};
use testing::wait_until;

use crate::binary::setup;
use crate::databases::wait_until_consistent;
use crate::stripe::{Held, Money, Operation, Stripe};

/// Why Stripe is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The buyer pays.
    Payment,
    /// The order is complete.
    Completion,
    /// The buyer cancels the order while Stripe holds the amount.
    Cancellation,
    /// The order expires while Stripe holds the amount.
    Expiry,
    /// The staff refunds the order.
    Refund,
    /// The buyer has authenticated the payment.
    Authentication,
}

const CASES: [(Operation, Cause); 7] = [
    (Operation::Create, Cause::Payment),
    (Operation::Confirm, Cause::Payment),
    (Operation::Capture, Cause::Completion),
    (Operation::Cancel, Cause::Cancellation),
    (Operation::Cancel, Cause::Expiry),
    (Operation::Refund, Cause::Refund),
    (Operation::Retrieve, Cause::Authentication),
];

#[tokio::test]
async fn a_system_killed_during_a_call_of_stripe_charges_a_complete_order_once_and_holds_nothing_else() {
    let cases = CASES.into_iter().flat_map(|(operation, cause)| {
        [Held::Request, Held::Response].map(|held| Interrupted::start(operation, cause, held))
    });
    // One after the other, so that the first ones find a claimed payment, and the last ones the end of its lease.
    for interrupted in join_all(cases).await {
        interrupted.recover().await;
    }
}

/// A system that was killed during a call.
struct Interrupted {
    case: String,
    cause: Cause,
    system: System,
    stripe: Stripe,
    buyer: User,
    order: Order,
}

impl Interrupted {
    /// Starts a system, and kills it while the call is held.
    async fn start(operation: Operation, cause: Cause, held: Held) -> Self {
        let stripe = Stripe::start().await;
        let expiration = if cause == Cause::Expiry { "4" } else { "900" };
        let setup = setup().set("STRIPE_KEY", "sk_test_1").set("ORDER_EXPIRATION_SECONDS", expiration);
        let mut system = stripe.serve(setup).start().await;
        let (seller, buyer) = (system.sign_up("seller").await, system.sign_up("buyer").await);
        let order = buyer.order(&seller.create_ticket("Concert", "20").await).await;
        system.wait_until_handled("payments_order-created", 1).await;

        stripe.hold(operation, held);
        if let Cause::Cancellation | Cause::Expiry = cause {
            stripe.hold(Operation::Confirm, Held::Response);
        }
        let token = if cause == Cause::Authentication { "tok_threeDSecure2Required" } else { "tok_visa" };
        let payment = tokio::spawn(buyer.post_payment(&order.id, token).attempt());
        match cause {
            Cause::Payment | Cause::Completion => {}
            Cause::Cancellation | Cause::Expiry => {
                stripe.wait_until_held(Operation::Confirm).await;
                if cause == Cause::Cancellation {
                    buyer.cancel(&order).await;
                }
            }
            Cause::Refund => {
                buyer.wait_until_complete(&order).await;
                let (succeeded, output) = run(system.command().args(["payments", "refund", &order.id])).await;
                assert!(succeeded, "{output}");
            }
            Cause::Authentication => stripe.authenticate().await,
        }
        stripe.wait_until_held(operation).await;
        system.kill();
        stripe.open();

        let case = format!("{operation:?} because of {cause:?}, killed with the {held:?} in flight");
        if let Cause::Payment | Cause::Cancellation | Cause::Expiry = cause {
            assert!(payment.await.unwrap().is_none(), "{case}: the buyer got a reply");
        }
        Self { case, cause, system, stripe, buyer, order }
    }

    /// Restarts the system, and checks that it finishes what it had begun.
    async fn recover(self) {
        let Self { case, cause, mut system, stripe, buyer, order } = self;
        system.restart().await;
        let buyer = system.reconnect(&buyer);
        let is_charged = matches!(cause, Cause::Payment | Cause::Completion | Cause::Authentication);
        if is_charged {
            pay_again(&case, &buyer, &order).await;
            buyer.wait_until_complete(&order).await;
        } else {
            wait_until(&format!("{case}: the order is cancelled"), async || {
                (buyer.find_order(&order.id).await.status == "cancelled").then_some(())
            })
            .await;
        }
        wait_until_consistent(&system).await;

        let refunds = usize::from(cause == Cause::Refund);
        let charges = usize::from(is_charged) + refunds;
        assert_eq!(stripe.money().await, Money { holds: 1, held: 0, charges, refunds }, "{case}");
        let (agrees, output) = run(system.command().args(["payments", "drift"])).await;
        assert!(agrees, "{case}: {output}");
    }
}

/// Pays as a buyer does who does not know whether the first payment succeeded.
async fn pay_again(case: &str, buyer: &User, order: &Order) {
    wait_until(&format!("{case}: the order is paid for"), async || {
        let reply = buyer.post_payment(&order.id, "tok_visa").send().await;
        match (reply.status, reply.messages().first().map(String::as_str)) {
            (201, _) | (400, Some("Order is already paid")) => Some(()),
            (400, Some("A payment for this order is in progress")) => None,
            _ => panic!("{case}: {reply:?}"),
        }
    })
    .await;
}
