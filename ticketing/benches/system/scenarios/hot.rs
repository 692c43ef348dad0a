//! All clients order the same ticket: one gets it, the others are refused.

use std::cell::Cell;

use anyhow::{Context as _, Result};

use crate::bench::Bench;
use crate::delivery::wait_until_delivered;
use crate::market::create_tickets;
use crate::progress::progress;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("hot ticket", "order the same ticket");
    let tickets = create_tickets(bench.load(), &bench.seller, 1).await?;
    wait_until_delivered(&bench.system).await?;
    let request = bench.buyer.create_order(tickets.first().context("no ticket was created")?);
    let (sold, other_refusals) = (Cell::new(0_u64), Cell::new(0_u64));
    let ordering = bench.load().run(async |client| {
        while client.has_time() {
            match client.timed(&request, &[201, 400]).await? {
                Some(reply) if reply.status == 201 => sold.set(sold.get() + 1),
                Some(reply) if !reply.contains("Ticket is already reserved") => {
                    other_refusals.set(other_refusals.get() + 1);
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    });
    let tally = ordering.await?;
    let (sold, other_refusals) = (sold.get(), other_refusals.get());
    if sold != 1 {
        bench.report.failure(format!("hot ticket: sold {sold} times"));
    }
    if other_refusals > 0 {
        bench.report.failure(format!("hot ticket: {other_refusals} orders refused for another reason"));
    }
    bench.tally("hot ticket, refused orders", tally, format!("{sold} sold"));
    Ok(())
}
