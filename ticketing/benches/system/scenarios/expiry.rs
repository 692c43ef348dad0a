//! Many orders expiring at one instant.
//!
//! Orders can not be placed at one instant, so the instant is made: the server is stopped before the first of them
//! expires and started again when all have. What is measured is the time from the server's being ready until each
//! order is cancelled and its ticket released.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::time::{sleep, sleep_until};

use super::step;
use crate::bench::{Bench, stop};
use crate::load::{Latencies, Load, Supply};
use crate::market::{Account, count_wrong, find_ticket, stock};
use crate::report::{Row, thousands};
use crate::server::Server;
use crate::settle::{Admin, settled};
use crate::site::Site;

/// How often to look; each look costs the server a page of metrics.
const POLL: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(120);

/// The last listener on the way from a job that is due to a ticket that is for sale again.
const RELEASE: &str = "tickets_order-cancelled";

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    let (count, expiration) = bench.options.expiring_orders();
    let site = bench.site("expiry").await?;
    let placed = place(bench, &site, count, expiration).await?;

    step("expiry", "waiting, with the server stopped, until all of them have expired");
    sleep_until(placed.all_expired.into()).await;
    step("expiry", "starting the server");
    let server = Server::start(&site, Some(expiration)).await?;
    let ready = Instant::now();
    let restarted =
        format!("{} ms until ready, with {} jobs due", server.ready_after.as_millis(), thousands(count as f64));
    bench.report.fact("restart", restarted);
    let released = watch(&server, ready, placed.orders.len()).await?;
    settled(&server).await?;

    step("expiry", "checking orders and tickets");
    let load = Load { api: server.api.clone(), ..bench.load() };
    let find_order = |order: &String| placed.buyer.find_order(order);
    let live = count_wrong(load.clone(), &placed.orders, find_order, |reply| reply.contains(r#""status":"cancelled""#))
        .await?;
    let for_sale = |ticket: &String| find_ticket(ticket);
    let held = count_wrong(load, &placed.tickets, for_sale, |reply| !reply.contains(r#""orderId":""#)).await?;
    if live + held > 0 {
        bench.report.failure(format!("expiry: {live} orders are not cancelled, {held} tickets not released"));
    }

    let last = released.percentile(100).unwrap_or_default() / 1_000.0;
    let row = Row {
        name: format!("{} orders expiring", thousands(count as f64)),
        per_second: count as f64 / last,
        latencies: released,
        remark: format!("the last is cancelled and released {last:.2} s after the server is ready"),
    };
    bench.report.row(row, server.peak_memory());
    stop(server, &mut bench.report).await;
    Ok(())
}

struct Placed {
    buyer: Account,
    tickets: Vec<String>,
    orders: Vec<String>,
    /// By when the last of them has expired.
    all_expired: Instant,
}

/// Places the orders and stops the server before the first of them expires.
async fn place(bench: &mut Bench, site: &Site, count: usize, expiration: Duration) -> Result<Placed> {
    step("expiry", &format!("placing {} orders", thousands(count as f64)));
    let server = Server::start(site, Some(expiration)).await?;
    let load = Load { api: server.api.clone(), ..bench.load() };
    let seller = Account::sign_up(&server.api, "seller@example.com").await?;
    let buyer = Account::sign_up(&server.api, "buyer@example.com").await?;
    let tickets = stock(load.clone(), &seller, count).await?;
    settled(&server).await?;

    let first = Instant::now();
    let (supply, orders) = (Supply::of(&tickets), RefCell::new(Vec::with_capacity(count)));
    let placing = load.run(async |client| {
        while let Some(ticket) = supply.next() {
            if let Some(order) = client.timed(&buyer.create_order(ticket), &[201]).await? {
                orders.borrow_mut().push(order.id().context("an order without an id")?);
            }
        }
        Ok(())
    });
    let tally = placing.await?;
    bench.report.unexpected("expiry", &tally);
    settled(&server).await?;
    let all_expired = Instant::now() + expiration;
    stop(server, &mut bench.report).await;
    let took = first.elapsed();
    ensure!(took < expiration, "placing {count} orders took {took:?}, and the first expired after {expiration:?}");
    Ok(Placed { buyer, orders: orders.into_inner(), tickets, all_expired })
}

/// How long after `ready` each ticket was released.
async fn watch(server: &Server, ready: Instant, count: usize) -> Result<Latencies> {
    let mut admin = Admin::open(&server.admin).await?;
    let mut released: Vec<Duration> = Vec::with_capacity(count);
    while released.len() < count {
        let so_far = admin.metrics().await?.handled(RELEASE) as usize;
        released.resize(so_far.clamp(released.len(), count), ready.elapsed());
        ensure!(ready.elapsed() < PATIENCE, "{} of {count} released within {PATIENCE:?}", released.len());
        sleep(POLL).await;
    }
    Ok(released.into_iter().collect())
}
