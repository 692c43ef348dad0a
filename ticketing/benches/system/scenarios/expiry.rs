//! Many orders expire at the same time.
//!
//! Orders cannot all be placed at the same time, so the system is stopped before the first one expires and started
//! again once all have. Measured is the time from the restarted system being ready until each order is cancelled and
//! its ticket released.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::{sleep, sleep_until};

use crate::bench::{Bench, stop};
use crate::delivery::{Admin, wait_until_delivered};
use crate::deployment::Deployment;
use crate::http::Reply;
use crate::latencies::Latencies;
use crate::load::Load;
use crate::market::{Account, count_mismatches, create_orders, create_tickets, find_ticket};
use crate::progress::progress;
use crate::report::{Row, thousands};
use crate::system::System;

/// Each poll costs the system a page of metrics.
const POLL: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(120);

/// The last listener between a due job and a released ticket.
const RELEASE: &str = "tickets_order-cancelled";

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let (count, expiration) = bench.options.expiring_orders();
    let orders_expire = format!("{} orders expire at once", thousands(count as f64));
    let deployment = bench.deploy("expiry").await?;
    let placed = place(bench, &deployment, count, expiration).await?;

    progress("expiry", "wait, with the system stopped, until all orders have expired");
    sleep_until(placed.all_expired.into()).await;
    progress("expiry", "restart the system");
    let system = System::start(&deployment, Some(expiration)).await?;
    let ready = Instant::now();
    let restart = format!("{} ms until ready, {} jobs due", system.ready_after.as_millis(), thousands(count as f64));
    bench.report.fact("restart", restart);
    let released = watch(&system, ready, placed.orders.len()).await?;
    wait_until_delivered(&system).await?;

    progress("expiry", "check orders and tickets");
    check(bench, &system, &placed).await?;

    let last = released.max().as_secs_f64();
    bench.report.row(Row {
        name: orders_expire,
        per_second: count as f64 / last,
        latencies: Some(released),
        peak_memory: system.peak_memory(),
        note: format!("last ticket released {last:.2} s after the system was ready"),
    });
    stop(system, &mut bench.report).await;
    Ok(())
}

struct Placed {
    buyer: Account,
    tickets: Vec<String>,
    orders: Vec<String>,
    /// When the last order has expired.
    all_expired: Instant,
}

/// Places the orders and stops the system before the first one expires.
async fn place(bench: &mut Bench, deployment: &Deployment, count: usize, expiration: Duration) -> Result<Placed> {
    progress("expiry", &format!("place {} orders", thousands(count as f64)));
    let system = System::start(deployment, Some(expiration)).await?;
    let load = Load { api: system.api.clone(), ..bench.load() };
    let seller = Account::sign_up(&system.api, "seller@example.com").await?;
    let buyer = Account::sign_up(&system.api, "buyer@example.com").await?;
    let tickets = create_tickets(load.clone(), &seller, count).await?;
    wait_until_delivered(&system).await?;

    let first = Instant::now();
    let orders = create_orders(load, &buyer, &tickets).await?;
    wait_until_delivered(&system).await?;
    let all_expired = Instant::now() + expiration;
    stop(system, &mut bench.report).await;
    let took = first.elapsed();
    ensure!(took < expiration, "placing {count} orders took {took:?}, but the first expired after {expiration:?}");
    Ok(Placed { buyer, orders, tickets, all_expired })
}

/// Measures how long after `ready` each ticket was released.
async fn watch(system: &System, ready: Instant, count: usize) -> Result<Latencies> {
    let mut admin = Admin::open(&system.admin).await?;
    let (mut latencies, mut released) = (Latencies::new()?, 0);
    while released < count {
        let handled = (admin.metrics().await?.handled(RELEASE) as usize).clamp(released, count);
        latencies.record_n(ready.elapsed(), handled - released)?;
        released = handled;
        ensure!(ready.elapsed() < TIMEOUT, "only {released} of {count} tickets released within {TIMEOUT:?}");
        sleep(POLL).await;
    }
    Ok(latencies)
}

/// Checks that every order is cancelled and every ticket is for sale again.
async fn check(bench: &mut Bench, system: &System, placed: &Placed) -> Result<()> {
    let load = Load { api: system.api.clone(), ..bench.load() };
    let find_order = |order: &String| placed.buyer.find_order(order);
    let is_cancelled = |reply: &Reply<'_>| reply.contains(r#""status":"cancelled""#);
    let live = count_mismatches(load.clone(), &placed.orders, find_order, is_cancelled).await?;
    let is_for_sale = |reply: &Reply<'_>| !reply.contains(r#""orderId":""#);
    let held = count_mismatches(load, &placed.tickets, |ticket| find_ticket(ticket), is_for_sale).await?;
    if live + held > 0 {
        bench.report.failure(format!("expiry: {live} orders not cancelled, {held} tickets not released"));
    }
    Ok(())
}
