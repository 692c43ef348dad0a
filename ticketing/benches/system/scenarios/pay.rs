//! Buyers pay at a fixed rate while each call of Stripe takes a fixed time. Measured is what the system adds to that.
//!
//! The load is open: each payment has its time, whether or not earlier ones have been answered, and its latency counts
//! from then. So if the system falls behind, the figures show it.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::Result;
use tokio::time::sleep_until;

use crate::bench::{Bench, stop};
use crate::delivery::wait_until_delivered;
use crate::latencies::Latencies;
use crate::load::{Load, Tally, WorkQueue};
use crate::market::{Account, count_uncaptured, create_orders, create_tickets};
use crate::progress::progress;
use crate::report::Row;
use crate::stripe::Stripe;
use crate::system::System;

/// How many payments begin per second.
const PER_SECOND: u32 = 200;

/// How long Stripe takes for each of the two calls that a payment consists of.
const CALL: Duration = Duration::from_millis(100);

/// How much the system may add to that, in 99 of 100 payments.
const TARGET: Duration = Duration::from_millis(10);

/// The payments of the first second open connections and are not counted.
const WARM_UP: u32 = PER_SECOND;

/// Clients wait for the next payment that is due. These are enough for payments that take two seconds.
const CLIENTS: usize = 2 * PER_SECOND as usize;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("pay", "start a system whose calls of Stripe take 100 ms");
    let stripe = Stripe::start(CALL).await?;
    let deployment = bench.deploy("pay").await?.with_stripe(&stripe.url);
    let system = System::start(&deployment, None).await?;
    let load = Load { api: system.api.clone(), ..bench.load() };
    let seller = Account::sign_up(&system.api, "seller@example.com").await?;
    let buyer = Account::sign_up(&system.api, "buyer@example.com").await?;

    progress("pay", "create tickets and order them");
    let count = bench.options.ticket_count(PER_SECOND as usize) + WARM_UP as usize;
    let tickets = create_tickets(load.clone(), &seller, count).await?;
    wait_until_delivered(&system).await?;
    let orders = create_orders(load.clone(), &buyer, &tickets).await?;
    wait_until_delivered(&system).await?;

    progress("pay", "pay");
    let paid = pay(load.clone(), &buyer, &orders, &stripe).await?;

    progress("pay", "check that payments are captured");
    wait_until_delivered(&system).await?;
    let uncaptured = count_uncaptured(load, &buyer, &orders).await?;
    if uncaptured > 0 {
        bench.report.failure(format!("pay: {uncaptured} of {} paid orders are not captured", orders.len()));
    }
    bench.report.unexpected("pay", &paid.tally);
    report(bench, paid, system.peak_memory());
    stop(system, &mut bench.report).await;
    Ok(())
}

struct Paid {
    /// How long buyers waited.
    tally: Tally,
    /// How much of that was Stripe's.
    by_stripe: Latencies,
    /// The rest.
    added: Latencies,
}

/// Pays for each order at its time.
async fn pay(load: Load, buyer: &Account, orders: &[String], stripe: &Stripe) -> Result<Paid> {
    let numbered: Vec<_> = (0_u32..).zip(orders).collect();
    let queue = WorkQueue::new(&numbered);
    let parts = RefCell::new((Latencies::new()?, Latencies::new()?));
    let began = Instant::now();
    let paying = Load { clients: CLIENTS, ..load }.run(async |client| {
        while let Some(&(number, order)) = queue.next() {
            let due = began + number * Duration::from_secs(1) / PER_SECOND;
            sleep_until(due.into()).await;
            let reply = client.send(&buyer.pay(order), 201).await?.is_some();
            if reply && number >= WARM_UP {
                let (took, by_stripe) = (due.elapsed(), stripe.time_spent_on(order));
                client.record(took)?;
                let (stripe, added) = &mut *parts.borrow_mut();
                stripe.record(by_stripe)?;
                added.record(took.saturating_sub(by_stripe))?;
            }
        }
        Ok(())
    });
    let mut tally = paying.await?;
    tally.took = tally.took.saturating_sub(Duration::from_secs(1) * WARM_UP / PER_SECOND);
    let (by_stripe, added) = parts.into_inner();
    Ok(Paid { tally, by_stripe, added })
}

fn report(bench: &mut Bench, paid: Paid, peak_memory: Option<u64>) {
    let Paid { tally, by_stripe, added } = paid;
    let per_second = tally.per_second();
    let ratio = |percentile| {
        tally.latencies.percentile(percentile).as_secs_f64() / by_stripe.percentile(percentile).as_secs_f64()
    };
    let ratios = format!("p50 {:.3}, p99 {:.3} of Stripe's time", ratio(50.0), ratio(99.0));
    let outcome = if added.percentile(99.0) <= TARGET { "met" } else { "missed" };
    let target = format!("target: p99 of at most {} ms, {outcome}", TARGET.as_millis());
    for (name, latencies, peak_memory, note) in [
        (format!("pay, {PER_SECOND} payments per second"), tally.latencies, peak_memory, ratios),
        (format!("  Stripe, twice {} ms", CALL.as_millis()), by_stripe, None, String::new()),
        ("  added by the system".into(), added, None, target),
    ] {
        bench.report.row(Row { name, per_second, latencies: Some(latencies), peak_memory, note });
    }
}
