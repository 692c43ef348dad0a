//! Reservations that end because nobody pays. Real time passes here: it is what these tests are about.

use std::time::Duration;

use common::clock::{Clock, SystemClock, Timestamp};
use futures_util::future::join_all;

use crate::support::{Order, Setup, System, User, in_time, wait_until};

const RESERVATION: Duration = Duration::from_secs(2);
/// How late a cancellation may be while everything is up.
const LATE: Duration = Duration::from_secs(1);
/// How long after its start a process may take to cancel what it has missed.
const LATE_AFTER_START: Duration = Duration::from_secs(2);

async fn system_with_short_reservations() -> System {
    Setup::default().set("ORDER_EXPIRATION_SECONDS", "2").start().await
}

/// Watches an order until it is cancelled, and returns when that was first seen.
async fn seen_cancelled(buyer: &User, order: &Order) -> Timestamp {
    wait_until("the order is cancelled", async || {
        let status = buyer.find_order(&order.id).await.status;
        (status == "cancelled").then(|| SystemClock.now())
    })
    .await
}

#[tokio::test]
async fn an_unpaid_order_is_cancelled_in_time_and_its_ticket_sold_to_another() {
    let system = system_with_short_reservations().await;
    let (ann, bob, eve) = (system.sign_up("ann").await, system.sign_up("bob").await, system.sign_up("eve").await);
    let paid = eve.order(&ann.list_ticket("Opera", "20").await).await;
    eve.pay(&paid, "tok_visa").await;

    let mut expired = Vec::new();
    in_time(async || {
        let ticket = ann.list_ticket("Concert", "20").await;
        let before = SystemClock.now();
        let order = bob.order(&ticket).await;
        let (made, expires) = (SystemClock.now(), order.expires_at);
        assert!(expires >= before.plus(RESERVATION) && expires <= made.plus(RESERVATION), "{order:?}");
        let seen = seen_cancelled(&bob, &order).await;
        assert!(seen >= expires, "cancelled at {seen}, before {expires}");
        expired.push((ticket, order));
        if seen <= expires.plus(LATE) { Ok(()) } else { Err(format!("{expires} was up, seen at {seen}")) }
    })
    .await;

    for ((ticket, order), count) in expired.iter().zip(1..) {
        wait_until("the ticket is for sale again", async || eve.sees_listed(ticket).await.then_some(())).await;
        system.handled("payments_order-cancelled", count).await;
        bob.paying(&order.id, "tok_visa").send().await.refuses(400, "Cannot pay for a cancelled order");
        let second = eve.order(ticket).await;
        eve.pay(&second, "tok_visa").await;
        eve.sees_complete(&second).await;
    }
    // What was paid for in time is none of expiration's business.
    assert_eq!(eve.find_order(&paid.id).await.status, "complete");
    system.agrees().await;
    assert_eq!(system.metric("jobs_fired_total").await.to_string(), expired.len().to_string());
}

#[tokio::test]
async fn what_expired_while_the_process_was_down_is_cancelled_right_after_its_start() {
    let mut system = system_with_short_reservations().await;
    let (mut ann, mut bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    in_time(async || {
        let ticket = ann.list_ticket("Concert", "20").await;
        let order = bob.order(&ticket).await;
        system.kill();
        SystemClock.sleep_until(order.expires_at).await;

        let started = SystemClock.now();
        system.restart().await;
        (ann, bob) = (system.again(&ann), system.again(&bob));
        let seen = seen_cancelled(&bob, &order).await;
        ann.sees_held_by(&ticket, None).await;
        system.agrees().await;
        let late = format!("started at {started}, seen at {seen}");
        if seen <= started.plus(LATE_AFTER_START) { Ok(()) } else { Err(late) }
    })
    .await;
}

#[tokio::test]
async fn who_pays_at_the_last_moment_gets_the_ticket_or_keeps_the_money() {
    let system = system_with_short_reservations().await;
    let (ann, bob) = (system.sign_up("ann").await, system.sign_up("bob").await);
    let titles: Vec<String> = (0..20).map(|n| format!("Seat {n}")).collect();
    let tickets = join_all(titles.iter().map(|title| ann.list_ticket(title, "20"))).await;
    let orders = join_all(tickets.iter().map(|ticket| bob.order(ticket))).await;

    // From a fifth of a second before the end of the reservation to a fifth after it.
    let (first, step) = (Duration::from_millis(200), Duration::from_millis(20));
    let payments = orders.iter().zip(0..).map(async |(order, nth)| {
        SystemClock.sleep_until(order.expires_at.minus(first).plus(step * nth)).await;
        bob.paying(&order.id, "tok_visa").send().await
    });
    let answers = join_all(payments).await;
    for order in &orders {
        wait_until("the order is decided", async || {
            (bob.find_order(&order.id).await.status != "created").then_some(())
        })
        .await;
    }
    system.agrees().await;
    for ((order, ticket), answer) in orders.iter().zip(&tickets).zip(answers) {
        if answer.status != 201 {
            let known = ["Order has expired", "Cannot pay for a cancelled order"].map(|known| vec![known.to_owned()]);
            assert!(answer.status == 400 && known.contains(&answer.messages()), "{answer:?}");
        }
        let captured = bob.payments(&order.id).await.iter().any(|payment| payment.status == "captured");
        let holder = ann.find_ticket(&ticket.id).await.order_id;
        match bob.find_order(&order.id).await.status.as_str() {
            "complete" => assert!(captured && holder.as_ref() == Some(&order.id), "{order:?} {answer:?}"),
            _ => assert!(!captured && holder.is_none(), "{order:?} {answer:?}"),
        }
    }
}
