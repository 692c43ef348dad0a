//! Whole purchases: order a ticket, pay, and look until the order is complete.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::step;
use crate::bench::Bench;
use crate::load::{Client, Supply};
use crate::market::{Account, count_wrong, stock};
use crate::settle::settled;

/// Tickets for each second: more than are likely to be bought.
const TICKETS_PER_SECOND: usize = 2_500;

/// How long a buyer waits before looking again.
const POLL: Duration = Duration::from_millis(5);
/// How long a buyer looks before giving up.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("purchase", "putting tickets up for sale");
    let tickets = stock(bench.load(), &bench.seller, bench.options.supply(TICKETS_PER_SECOND)).await?;
    settled(&bench.server).await?;

    step("purchase", "buying");
    let (supply, bought, never_complete) = (Supply::of(&tickets), RefCell::new(Vec::new()), RefCell::new(Vec::new()));
    let buying = bench.load().run(async |client| {
        while client.has_time()
            && let Some(ticket) = supply.next()
        {
            let began = Instant::now();
            let Some(order) = order_and_pay(client, &bench.buyer, ticket).await? else { continue };
            if is_seen_complete(client, &bench.buyer, &order).await? {
                client.note(began.elapsed());
                bought.borrow_mut().push(order);
            } else {
                never_complete.borrow_mut().push(order);
            }
        }
        Ok(())
    });
    let tally = buying.await?;
    let (bought, never_complete) = (bought.into_inner(), never_complete.into_inner());
    if let Some(order) = never_complete.first() {
        let count = never_complete.len();
        bench.report.failure(format!("purchase: {count} paid orders were never complete, such as {order}"));
    }

    step("purchase", "checking that the money was taken");
    settled(&bench.server).await?;
    let payments = |order: &String| bench.buyer.list_payments(order);
    let wrong = count_wrong(bench.load(), &bought, payments, |reply| reply.contains(r#""status":"captured""#)).await?;
    if wrong > 0 {
        bench.report.failure(format!("purchase: {wrong} of {} complete orders are not captured", bought.len()));
    }
    bench.tally("whole purchase", tally, "order, pay, seen complete".into());
    Ok(())
}

async fn order_and_pay(client: &mut Client, buyer: &Account, ticket: &str) -> Result<Option<String>> {
    let Some(reply) = client.send(&buyer.create_order(ticket), 201).await? else { return Ok(None) };
    let order = reply.id().context("an order without an id")?;
    let paid = client.send(&buyer.pay(&order), 201).await?;
    Ok(paid.is_some().then_some(order))
}

async fn is_seen_complete(client: &mut Client, buyer: &Account, order: &str) -> Result<bool> {
    let (began, request) = (Instant::now(), buyer.find_order(order));
    while began.elapsed() < PATIENCE {
        if client.send(&request, 200).await?.is_some_and(|reply| reply.contains(r#""status":"complete""#)) {
            return Ok(true);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(false)
}
