//! The same operations on a small and on a large history, which should cost the same.
//!
//! Each size is measured after a restart, so that memory does not include that of filling the system.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::purchase::{becomes_complete, order_and_pay};
use crate::bench::{Bench, stop};
use crate::delivery::wait_until_delivered;
use crate::deployment::Deployment;
use crate::load::{Client, Load, Tally, WorkQueue};
use crate::market::{Account, create_orders, create_tickets, find_ticket, list_tickets};
use crate::progress::progress;
use crate::report::thousands;
use crate::system::System;

/// Longer than filling takes, so that no order expires.
const EXPIRATION: Duration = Duration::from_secs(86_400);

/// Tickets to create before waiting for the delivery of their events.
const BATCH: usize = 20_000;

/// One of ten tickets is ordered, and one of ten orders is paid.
const TICKETS_PER_ORDER: usize = 10;
const ORDERS_PER_PURCHASE: usize = 10;

/// How often each operation is measured. One client, so that none waits for another.
const OPERATIONS: usize = 200;

/// In milliseconds or megabytes, in the order of `NAMES`.
type Figures = [f64; NAMES.len()];

const NAMES: [&str; 7] = [
    "list, p50 ms",
    "show, p50 ms",
    "order, p50 ms",
    "purchase, p50 ms",
    "idle and sweeps, processor ms per s",
    "restart, ms until ready",
    "memory after a restart, MB",
];

struct Market {
    deployment: Deployment,
    seller: Account,
    buyer: Account,
    /// A sample of all tickets.
    tickets: Vec<String>,
    size: usize,
}

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let [small, large] = bench.options.sizes();
    let deployment = bench.deploy("grow").await?;
    let system = System::start(&deployment, Some(EXPIRATION)).await?;
    let seller = Account::sign_up(&system.api, "seller@example.com").await?;
    let buyer = Account::sign_up(&system.api, "buyer@example.com").await?;
    let mut market = Market { deployment, seller, buyer, tickets: Vec::new(), size: 0 };
    let (system, few) = measure(bench, &mut market, system, small).await?;
    let (system, many) = measure(bench, &mut market, system, large).await?;
    stop(system, &mut bench.report).await;
    let sizes = [small, large].map(|size| thousands(size as f64));
    bench.report.fact("tickets", format!("{:>10} {:>10}  ratio", sizes[0], sizes[1]));
    for (name, (few, many)) in NAMES.into_iter().zip(few.into_iter().zip(many)) {
        bench.report.fact(name, format!("{few:>10.2} {many:>10.2} {:>6.2}", many / few));
    }
    Ok(())
}

/// Lets the system grow, restarts it and measures it.
async fn measure(bench: &mut Bench, market: &mut Market, system: System, size: usize) -> Result<(System, Figures)> {
    while market.size < size {
        progress("grow", &format!("{} of {} tickets", market.size, size));
        fill(bench, market, &system, BATCH.min(size - market.size)).await?;
    }
    progress("grow", "restart and measure");
    stop(system, &mut bench.report).await;
    let system = System::start(&market.deployment, Some(EXPIRATION)).await?;
    let load = Load { api: system.api.clone(), clients: 1, ..bench.load() };
    let shown: Vec<_> =
        market.tickets.iter().rev().map(|ticket| find_ticket(ticket)).cycle().take(OPERATIONS).collect();
    let list = timed(&load, &vec![list_tickets(); OPERATIONS], 200).await?;
    let show = timed(&load, &shown, 200).await?;
    let tickets = create_tickets(load.clone(), &market.seller, 2 * OPERATIONS).await?;
    wait_until_delivered(&system).await?;
    let (to_order, to_buy) = tickets.split_at(OPERATIONS);
    let orders: Vec<_> = to_order.iter().map(|ticket| market.buyer.create_order(ticket)).collect();
    let order = timed(&load, &orders, 201).await?;
    let purchase = purchase(&load, &market.buyer, to_buy).await?;
    wait_until_delivered(&system).await?;
    let idle = idle(&system, bench.options.idle_duration()).await;
    let memory = system.peak_memory().map_or(f64::NAN, |bytes| bytes as f64 / 1e6);
    let restart = system.ready_after.as_secs_f64() * 1e3;
    let [list, show, order, purchase] = [list, show, order, purchase].map(|tally| p50(&tally));
    Ok((system, [list, show, order, purchase, idle, restart, memory]))
}

/// Adds tickets, orders and purchases, and waits until their events are delivered.
async fn fill(bench: &Bench, market: &mut Market, system: &System, count: usize) -> Result<()> {
    let load = Load { api: system.api.clone(), ..bench.load() };
    let tickets = create_tickets(load.clone(), &market.seller, count).await?;
    wait_until_delivered(system).await?;
    let ordered: Vec<String> = tickets.iter().step_by(TICKETS_PER_ORDER).cloned().collect();
    let orders = create_orders(load.clone(), &market.buyer, &ordered).await?;
    let to_pay: Vec<_> = orders.iter().step_by(ORDERS_PER_PURCHASE).map(|order| market.buyer.pay(order)).collect();
    wait_until_delivered(system).await?;
    let paid = timed(&load, &to_pay, 201).await?;
    ensure!(paid.unexpected.is_empty(), "could not pay: {:?}", paid.unexpected);
    wait_until_delivered(system).await?;
    market.size += count;
    market.tickets.extend(tickets.into_iter().skip(1).step_by(101));
    Ok(())
}

/// Sends each request once.
async fn timed(load: &Load, requests: &[Vec<u8>], expected: u16) -> Result<Tally> {
    let queue = WorkQueue::new(requests);
    let tally = load
        .clone()
        .run(async |client| {
            while let Some(request) = queue.next() {
                client.timed(request, &[expected]).await?;
            }
            Ok(())
        })
        .await?;
    ensure!(tally.unexpected.is_empty(), "unexpected replies: {:?}", tally.unexpected);
    Ok(tally)
}

/// Orders each ticket, pays for it and waits until the order is complete.
async fn purchase(load: &Load, buyer: &Account, tickets: &[String]) -> Result<Tally> {
    let queue = RefCell::new(tickets.iter());
    let buy = async |client: &mut Client<'_>| {
        while let Some(ticket) = { queue.borrow_mut().next() } {
            let began = Instant::now();
            let order = order_and_pay(client, buyer, ticket).await?.context("a purchase was refused")?;
            ensure!(becomes_complete(client, buyer, &order).await?, "the order {order} did not become complete");
            client.record(began.elapsed())?;
        }
        Ok(())
    };
    load.clone().run(buy).await
}

/// The processor time that the idle system uses, in milliseconds per second.
async fn idle(system: &System, watch: Duration) -> f64 {
    let before = system.processor_time();
    tokio::time::sleep(watch).await;
    let used = system.processor_time().zip(before).map(|(after, before)| after - before);
    used.map_or(f64::NAN, |used| used.as_secs_f64() * 1e3 / watch.as_secs_f64())
}

fn p50(tally: &Tally) -> f64 {
    tally.latencies.percentile(50.0).as_secs_f64() * 1e3
}
