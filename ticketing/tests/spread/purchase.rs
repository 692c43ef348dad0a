//! Purchases, and the ways they can end.

use std::time::Duration;

use futures_util::future::join_all;
use testing::system::run;
use testing::wait_until;

use crate::binaries::binaries;
use crate::spread::Spread;

/// Longer than any test takes.
const NEVER: Duration = Duration::from_secs(900);

#[tokio::test]
async fn a_ticket_is_sold_and_a_cancelled_one_is_sold_to_another_buyer() {
    let Some(system) = Spread::start(NEVER).await else { return };
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let (first, second) = (ann.create_ticket("Concert", "19.99").await, ann.create_ticket("Opera", "50").await);

    let order = bob.order(&first).await;
    ann.wait_until_reserved_by(&first, Some(&order)).await;
    eve.post_order(&first.id).send().await.expect_error(400, "Ticket is already reserved");
    bob.pay(&order, "tok_visa").await;
    let (_, payment) = bob.wait_until_complete(&order).await;
    assert_eq!(payment.amount.to_string(), "19.99");

    let cancelled = bob.order(&second).await;
    ann.wait_until_reserved_by(&second, Some(&cancelled)).await;
    bob.cancel(&cancelled).await;
    ann.wait_until_reserved_by(&second, None).await;
    eve.wait_until_for_sale(&second).await;
    let bought = eve.order(&second).await;
    eve.pay(&bought, "tok_visa").await;
    eve.wait_until_complete(&bought).await;
    system.wait_until_consistent(&[ann, bob, eve], []).await;
}

#[tokio::test]
async fn a_bank_asks_for_a_further_step_and_later_the_staff_refunds() {
    let Some(system) = Spread::start(NEVER).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = ann.create_ticket("Concert", "19.99").await;
    let order = bob.order(&ticket).await;
    bob.post_payment(&order.id, "tok_threeDSecure2Required").send().await.expect(202);
    let status = async || bob.find_order(&order.id).await.status;
    wait_until("the order waits for its buyer", async || (status().await == "awaiting:payment").then_some(())).await;
    system.simulator.authenticate(&order).await;
    bob.wait_until_complete(&order).await;

    let payments = format!("mongodb://127.0.0.1:{}/payments", system.engines.mongo.proxy.port());
    let mut refund = binaries().command("ticketing");
    refund.env("MONGO_URI", payments).args(["payments", "refund", &order.id]);
    let (succeeded, output) = run(&mut refund).await;
    assert!(succeeded, "{output}");
    wait_until("the order is cancelled", async || (status().await == "cancelled").then_some(())).await;
    ann.wait_until_reserved_by(&ticket, None).await;
    system.wait_until_consistent(&[ann, bob], [ticket.id]).await;
}

#[tokio::test]
async fn an_unpaid_order_expires_and_its_ticket_is_released() {
    let Some(system) = Spread::start(Duration::from_secs(2)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = ann.create_ticket("Concert", "20").await;
    let late = bob.order(&ticket).await;
    wait_until("the order has expired", async || (bob.find_order(&late.id).await.status == "cancelled").then_some(()))
        .await;
    ann.wait_until_reserved_by(&ticket, None).await;
    bob.post_payment(&late.id, "tok_visa").send().await.expect(400);
    system.wait_until_consistent(&[ann, bob], [ticket.id]).await;
}

#[tokio::test]
async fn replicas_share_requests_and_events() {
    let Some(system) = Spread::start_replicas(NEVER, &["orders", "tickets"]).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let purchases = (0..30).map(async |n| {
        let ticket = ann.create_ticket(&format!("Seat {n}"), "20").await;
        let order = bob.order(&ticket).await;
        bob.pay(&order, "tok_visa").await;
        bob.wait_until_complete(&order).await;
        ann.wait_until_reserved_by(&ticket, Some(&order)).await;
    });
    join_all(purchases).await;
    let shared = [
        ("orders", "events_handled_total{listener=\"orders_payment-created\"}"),
        ("tickets", "events_handled_total{listener=\"tickets_order-created\"}"),
        ("orders", "http_requests_total{method=\"POST\",route=\"/api/orders\",status=\"201\"}"),
        ("tickets", "http_requests_total{method=\"POST\",route=\"/api/tickets\",status=\"201\"}"),
    ];
    let replies = system.admin("/metrics").await;
    for (service, series) in shared {
        let count = |metrics: &str| metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        let replicas = replies.iter().filter(|(name, ..)| *name == service);
        let counts: Vec<u32> = replicas.map(|(.., metrics)| count(metrics).unwrap_or(0)).collect();
        assert!(counts.len() == 2 && counts.iter().all(|count| *count > 0), "{series}: {counts:?}");
        assert_eq!(counts.iter().sum::<u32>(), 30, "{series}: {counts:?}");
    }
    system.wait_until_consistent(&[ann, bob], []).await;
}
