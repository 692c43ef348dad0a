//! Purchases, and the ways they may go.

use std::time::Duration;

use futures_util::future::join_all;

use crate::spread::Spread;
use crate::support::wait_until;

const NEVER: Duration = Duration::from_secs(900);

#[tokio::test]
async fn a_ticket_is_sold_another_given_back_and_sold_to_somebody_else() {
    let Some(system) = Spread::start(NEVER).await else { return };
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let (first, second) = (ann.list_ticket("Concert", "19.99").await, ann.list_ticket("Opera", "50").await);

    let order = bob.order(&first).await;
    ann.sees_held_by(&first, Some(&order)).await;
    eve.ordering(&first.id).send().await.refuses(400, "Ticket is already reserved");
    bob.pay(&order, "tok_visa").await;
    let (_, payment) = bob.sees_complete(&order).await;
    assert_eq!(payment.amount.to_string(), "19.99");

    let given_up = bob.order(&second).await;
    ann.sees_held_by(&second, Some(&given_up)).await;
    bob.cancel(&given_up).await;
    ann.sees_held_by(&second, None).await;
    wait_until("the ticket is for sale again", async || eve.sees_listed(&second).await.then_some(())).await;
    let bought = eve.order(&second).await;
    eve.pay(&bought, "tok_visa").await;
    eve.sees_complete(&bought).await;
    system.agrees(&[ann, bob, eve], []).await;
}

#[tokio::test]
async fn an_order_that_nobody_pays_for_ends_and_its_ticket_is_sold_to_somebody_else() {
    let Some(system) = Spread::start(Duration::from_secs(2)).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let ticket = ann.list_ticket("Concert", "20").await;
    let late = bob.order(&ticket).await;
    wait_until("the order has expired", async || (bob.find_order(&late.id).await.status == "cancelled").then_some(()))
        .await;
    ann.sees_held_by(&ticket, None).await;
    bob.paying(&late.id, "tok_visa").send().await.expect(400);
    system.agrees(&[ann, bob], [ticket.id]).await;
}

#[tokio::test]
async fn replicas_share_the_work() {
    let Some(system) = Spread::start_replicas(NEVER, &["orders", "tickets"]).await else { return };
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let purchases = (0..30).map(async |n| {
        let ticket = ann.list_ticket(&format!("Seat {n}"), "20").await;
        let order = bob.order(&ticket).await;
        bob.pay(&order, "tok_visa").await;
        bob.sees_complete(&order).await;
        ann.sees_held_by(&ticket, Some(&order)).await;
    });
    join_all(purchases).await;
    let shared = [
        ("orders", "events_handled_total{listener=\"orders_payment-created\"}"),
        ("tickets", "events_handled_total{listener=\"tickets_order-created\"}"),
        ("orders", "http_requests_total{method=\"POST\",route=\"/api/orders\",status=\"201\"}"),
        ("tickets", "http_requests_total{method=\"POST\",route=\"/api/tickets\",status=\"201\"}"),
    ];
    let answers = system.admin("/metrics").await;
    for (service, series) in shared {
        let count = |metrics: &str| metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        let replicas = answers.iter().filter(|(name, ..)| *name == service);
        let counts: Vec<u32> = replicas.map(|(.., metrics)| count(metrics).unwrap_or(0)).collect();
        assert!(counts.len() == 2 && counts.iter().all(|count| *count > 0), "{series}: {counts:?}");
        assert_eq!(counts.iter().sum::<u32>(), 30, "{series}: {counts:?}");
    }
    system.agrees(&[ann, bob], []).await;
}
