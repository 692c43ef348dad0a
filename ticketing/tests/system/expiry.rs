//! Orders that expire unpaid. These tests wait in real time: they check that a real process is punctual.

use std::time::Duration;

use common::clock::{Clock, SystemClock, Timestamp};
use futures_util::future::join_all;
use testing::system::{Order, System, User};
use testing::{in_time, wait_until};

use crate::binary::setup;
use crate::databases::wait_until_consistent;

const EXPIRATION: Duration = Duration::from_secs(2);

/// How late an order may be cancelled while everything is running.
const TOLERANCE: Duration = Duration::from_secs(1);

/// How long after its start a process may take to cancel orders that expired while it was down.
const TOLERANCE_AFTER_START: Duration = Duration::from_secs(2);

async fn start_with_short_expiration() -> System {
    setup().set("ORDER_EXPIRATION_SECONDS", "2").start().await
}

/// Waits until an order is cancelled, and returns when that was first seen.
async fn wait_until_cancelled(buyer: &User, order: &Order) -> Timestamp {
    wait_until("the order is cancelled", async || {
        let status = buyer.find_order(&order.id).await.status;
        (status == "cancelled").then(|| SystemClock.now())
    })
    .await
}

#[tokio::test]
async fn an_unpaid_order_is_cancelled_in_time_and_its_ticket_is_sold_again() {
    let system = start_with_short_expiration().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let paid = eve.order(&ann.create_ticket("Opera", "20").await).await;
    eve.pay(&paid, "tok_visa").await;

    let mut expired = Vec::new();
    in_time(async || {
        let ticket = ann.create_ticket("Concert", "20").await;
        let before = SystemClock.now();
        let order = bob.order(&ticket).await;
        let (after, expires) = (SystemClock.now(), order.expires_at);
        assert!(expires >= before.plus(EXPIRATION) && expires <= after.plus(EXPIRATION), "{order:?}");
        let seen = wait_until_cancelled(&bob, &order).await;
        assert!(seen >= expires, "cancelled at {seen}, before {expires}");
        expired.push((ticket, order));
        if seen <= expires.plus(TOLERANCE) { Ok(()) } else { Err(format!("expired at {expires}, seen at {seen}")) }
    })
    .await;

    for ((ticket, order), count) in expired.iter().zip(1..) {
        eve.wait_until_for_sale(ticket).await;
        system.wait_until_handled("payments_order-cancelled", count).await;
        let late = bob.post_payment(&order.id, "tok_visa").send().await;
        late.expect_error(400, "Cannot pay for a cancelled order");
        let second = eve.order(ticket).await;
        eve.pay(&second, "tok_visa").await;
        eve.wait_until_complete(&second).await;
    }
    // Paid orders do not expire.
    assert_eq!(eve.find_order(&paid.id).await.status, "complete");
    wait_until_consistent(&system).await;
    assert_eq!(system.metric("jobs_fired_total").await.to_string(), expired.len().to_string());
}

#[tokio::test]
async fn orders_that_expire_while_the_system_is_down_are_cancelled_at_its_start() {
    let mut system = start_with_short_expiration().await;
    let (mut ann, mut bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    in_time(async || {
        let ticket = ann.create_ticket("Concert", "20").await;
        let order = bob.order(&ticket).await;
        system.kill();
        SystemClock.sleep_until(order.expires_at).await;

        let started = SystemClock.now();
        system.restart().await;
        (ann, bob) = (system.reconnect(&ann), system.reconnect(&bob));
        let seen = wait_until_cancelled(&bob, &order).await;
        ann.wait_until_reserved_by(&ticket, None).await;
        wait_until_consistent(&system).await;
        let late = format!("started at {started}, seen at {seen}");
        if seen <= started.plus(TOLERANCE_AFTER_START) { Ok(()) } else { Err(late) }
    })
    .await;
}

#[tokio::test]
async fn a_buyer_who_pays_at_the_last_moment_gets_the_ticket_or_keeps_the_money() {
    let system = start_with_short_expiration().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let titles: Vec<String> = (0..20).map(|n| format!("Seat {n}")).collect();
    let tickets = join_all(titles.iter().map(|title| ann.create_ticket(title, "20"))).await;
    let orders = join_all(tickets.iter().map(|ticket| bob.order(ticket))).await;

    // From 200 ms before the order expires to 200 ms after.
    let (first, step) = (Duration::from_millis(200), Duration::from_millis(20));
    let payments = orders.iter().zip(0..).map(async |(order, nth)| {
        SystemClock.sleep_until(order.expires_at.minus(first).plus(step * nth)).await;
        bob.post_payment(&order.id, "tok_visa").send().await
    });
    let replies = join_all(payments).await;
    for order in &orders {
        wait_until("the order is decided", async || {
            (bob.find_order(&order.id).await.status != "created").then_some(())
        })
        .await;
    }
    wait_until_consistent(&system).await;
    for ((order, ticket), reply) in orders.iter().zip(&tickets).zip(replies) {
        if reply.status != 201 {
            let known = ["Order has expired", "Cannot pay for a cancelled order"].map(|known| vec![known.to_owned()]);
            assert!(reply.status == 400 && known.contains(&reply.messages()), "{reply:?}");
        }
        let captured = bob.list_payments(&order.id).await.iter().any(|payment| payment.status == "captured");
        let reserved_by = ann.find_ticket(&ticket.id).await.order_id;
        match bob.find_order(&order.id).await.status.as_str() {
            "complete" => assert!(captured && reserved_by.as_ref() == Some(&order.id), "{order:?} {reply:?}"),
            _ => assert!(!captured && reserved_by.is_none(), "{order:?} {reply:?}"),
        }
    }
}
