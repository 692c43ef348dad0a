//! Buyers: ordering distinct tickets.
//!
//! An order is placed when it is answered with 201, and done when everybody who hears of it has handled its event:
//! so there are two rates, and the second counts.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::step;
use crate::bench::Bench;
use crate::load::{Latencies, Supply, per_second};
use crate::market::{count_wrong, find_ticket, stock};
use crate::report::Row;
use crate::settle::settled;

/// Tickets for each second: more than are likely to be ordered.
const TICKETS_PER_SECOND: usize = 6_000;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("order", "putting tickets up for sale");
    let tickets = stock(bench.load(), &bench.seller, bench.options.supply(TICKETS_PER_SECOND)).await?;
    settled(&bench.server).await?;

    step("order", "placing orders");
    let supply = Supply::of(&tickets);
    let began = Instant::now();
    let placing = bench.load().run(async |client| {
        while client.has_time()
            && let Some(ticket) = supply.next()
        {
            client.timed(&bench.buyer.create_order(ticket), &[201]).await?;
        }
        Ok(())
    });
    let tally = placing.await?;
    step("order", "waiting until every event is delivered");
    let took = settled(&bench.server).await? - began;

    let ordered = supply.used();
    ensure!(!ordered.is_empty(), "no order was placed");
    let wrong =
        count_wrong(bench.load(), ordered, |ticket| find_ticket(ticket), |reply| reply.contains(r#""orderId":""#));
    let wrong = wrong.await?;
    if wrong > 0 {
        bench.report.failure(format!("order: {wrong} of {} ordered tickets do not show their order", ordered.len()));
    }

    let delivered = per_second(tally.latencies.count(), took);
    let remark = format!("{} orders answered", ordered.len());
    bench.tally("order, distinct tickets", tally, remark);
    bench.row(Row {
        name: "  with every event delivered".into(),
        per_second: delivered,
        latencies: Latencies::default(),
        remark: format!("{:.1} s in all", took.as_secs_f64()),
    });
    Ok(())
}
