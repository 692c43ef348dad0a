//! Buyers order distinct tickets.
//!
//! Two rates are reported: orders answered with 201, and orders whose events have reached every listener. The second is
//! what the system sustains.

use std::time::Instant;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::delivery::wait_until_delivered;
use crate::http::Reply;
use crate::load::{WorkQueue, per_second};
use crate::market::{count_mismatches, create_tickets, find_ticket};
use crate::progress::progress;
use crate::report::Row;

/// More than the clients are likely to order.
const TICKETS_PER_SECOND: usize = 6_000;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("order", "create tickets");
    let count = bench.options.ticket_count(TICKETS_PER_SECOND);
    let tickets = create_tickets(bench.load(), &bench.seller, count).await?;
    wait_until_delivered(&bench.system).await?;

    progress("order", "order tickets");
    let queue = WorkQueue::new(&tickets);
    let began = Instant::now();
    let placing = bench.load().run(async |client| {
        while client.has_time()
            && let Some(ticket) = queue.next()
        {
            client.timed(&bench.buyer.create_order(ticket), &[201]).await?;
        }
        Ok(())
    });
    let tally = placing.await?;
    progress("order", "wait until all events are delivered");
    let took = wait_until_delivered(&bench.system).await? - began;

    let ordered = queue.taken();
    ensure!(!ordered.is_empty(), "no order was placed");
    let is_reserved = |reply: &Reply<'_>| reply.contains(r#""orderId":""#);
    let unreserved = count_mismatches(bench.load(), ordered, |ticket| find_ticket(ticket), is_reserved).await?;
    if unreserved > 0 {
        bench.report.failure(format!("order: {unreserved} of {} ordered tickets are not reserved", ordered.len()));
    }

    let delivered = per_second(tally.latencies.count(), took);
    bench.tally("order distinct tickets", tally, format!("{} orders answered", ordered.len()));
    bench.report.row(Row {
        name: "  until all events are delivered".into(),
        per_second: delivered,
        latencies: None,
        peak_memory: bench.system.peak_memory(),
        note: format!("{:.1} s in total", took.as_secs_f64()),
    });
    Ok(())
}
