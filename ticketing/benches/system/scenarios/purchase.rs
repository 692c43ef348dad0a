//! Buyers order a ticket, pay for it, and poll until the order is complete.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::delivery::wait_until_delivered;
use crate::load::{Client, WorkQueue};
use crate::market::{Account, count_uncaptured, create_tickets};
use crate::progress::progress;

/// More than the clients are likely to buy.
const TICKETS_PER_SECOND: usize = 2_500;

/// How often and how long a buyer polls the order.
const POLL: Duration = Duration::from_millis(5);
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("purchase", "create tickets");
    let count = bench.options.ticket_count(TICKETS_PER_SECOND);
    let tickets = create_tickets(bench.load(), &bench.seller, count).await?;
    wait_until_delivered(&bench.system).await?;

    progress("purchase", "buy tickets");
    let (queue, complete, incomplete) = (WorkQueue::new(&tickets), RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let buying = bench.load().run(async |client| {
        while client.has_time()
            && let Some(ticket) = queue.next()
        {
            let began = Instant::now();
            let Some(order) = order_and_pay(client, &bench.buyer, ticket).await? else { continue };
            if becomes_complete(client, &bench.buyer, &order).await? {
                client.record(began.elapsed())?;
                complete.borrow_mut().push(order);
            } else {
                incomplete.borrow_mut().push(order);
            }
        }
        Ok(())
    });
    let tally = buying.await?;
    let (complete, incomplete) = (complete.into_inner(), incomplete.into_inner());
    if let Some(order) = incomplete.first() {
        let count = incomplete.len();
        bench.report.failure(format!("purchase: {count} paid orders did not become complete, such as {order}"));
    }

    progress("purchase", "check that payments are captured");
    wait_until_delivered(&bench.system).await?;
    let uncaptured = count_uncaptured(bench.load(), &bench.buyer, &complete).await?;
    if uncaptured > 0 {
        bench.report.failure(format!("purchase: {uncaptured} of {} complete orders are not captured", complete.len()));
    }
    bench.tally("purchase", tally, "order, pay, poll until complete".into());
    Ok(())
}

/// Returns the order's id, or `None` if the system refused the order or the payment.
pub(super) async fn order_and_pay(client: &mut Client<'_>, buyer: &Account, ticket: &str) -> Result<Option<String>> {
    let Some(reply) = client.send(&buyer.create_order(ticket), 201).await? else { return Ok(None) };
    let order = reply.id().context("order without an id")?;
    let paid = client.send(&buyer.pay(&order), 201).await?;
    Ok(paid.is_some().then_some(order))
}

pub(super) async fn becomes_complete(client: &mut Client<'_>, buyer: &Account, order: &str) -> Result<bool> {
    let (began, request) = (Instant::now(), buyer.find_order(order));
    while began.elapsed() < TIMEOUT {
        if client.send(&request, 200).await?.is_some_and(|reply| reply.contains(r#""status":"complete""#)) {
            return Ok(true);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(false)
}
