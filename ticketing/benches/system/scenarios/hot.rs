//! Everybody after one ticket: one buyer gets it, all others are turned away.

use std::cell::Cell;

use anyhow::{Context as _, Result};

use super::step;
use crate::bench::Bench;
use crate::market::stock;
use crate::settle::settled;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("hot ticket", "everybody orders it");
    let tickets = stock(bench.load(), &bench.seller, 1).await?;
    settled(&bench.server).await?;
    let request = bench.buyer.create_order(tickets.first().context("no ticket")?);
    let (sold, strange) = (Cell::new(0_u64), Cell::new(0_u64));
    let ordering = bench.load().run(async |client| {
        while client.has_time() {
            match client.timed(&request, &[201, 400]).await? {
                Some(reply) if reply.status == 201 => sold.set(sold.get() + 1),
                Some(reply) if !reply.contains("Ticket is already reserved") => strange.set(strange.get() + 1),
                Some(_) | None => {}
            }
        }
        Ok(())
    });
    let tally = ordering.await?;
    if sold.get() != 1 {
        bench.report.failure(format!("hot ticket: it was sold {} times", sold.get()));
    }
    if strange.get() > 0 {
        bench.report.failure(format!("hot ticket: {} replies 400 for another reason", strange.get()));
    }
    bench.tally("hot ticket, rejections", tally, format!("sold {} time(s)", sold.get()));
    Ok(())
}
