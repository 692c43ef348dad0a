//! Visitors: one list page to four single tickets, and each alone.

use anyhow::{Context as _, Result};

use super::step;
use crate::api::Connections;
use crate::baseline::bare_http;
use crate::bench::Bench;
use crate::market::{find_ticket, list_tickets, stock};
use crate::settle::settled;

/// More than a visitor looks at, as many as a cache would hold.
const TICKETS: usize = 1_000;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("browse", "putting tickets up for sale");
    let tickets = stock(bench.load(), &bench.seller, TICKETS).await?;
    settled(&bench.server).await?;
    let singles: Vec<_> = tickets.iter().map(|ticket| find_ticket(ticket)).collect();
    let page = vec![list_tickets()];
    let mix: Vec<_> = singles.chunks(4).flat_map(|singles| page.iter().chain(singles)).cloned().collect();

    step("browse", "the mix");
    let mixed = bench.load().repeat(&mix, 200).await?;
    step("browse", "list pages alone");
    let pages = bench.load().repeat(&page, 200).await?;
    step("browse", "single tickets alone");
    let single = bench.load().repeat(&singles, 200).await?;

    step("browse", "the mix, from a bare HTTP server");
    let mut connections = Connections::to(&bench.server.api);
    let page_body = connections.send(&page[0]).await?.body.to_vec();
    let ticket_body = connections.send(singles.first().context("no ticket")?).await?.body.to_vec();
    let load = bench.load().lasting(bench.options.baseline_duration());
    let bare = bare_http(load, &mix, page_body, ticket_body).await?;

    let ratio = mixed.per_second() / bare.per_second();
    let remark = format!("{ratio:.2} of a bare HTTP server");
    bench.tally("browse, 1 page to 4 tickets", mixed, remark);
    bench.tally("  list page of 50 alone", pages, String::new());
    bench.tally("  one ticket alone", single, String::new());
    bench.baseline("the mix, bare HTTP server", bare.per_second(), bare.latencies);
    Ok(())
}
