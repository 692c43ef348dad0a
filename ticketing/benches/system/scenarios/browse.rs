//! Visitors read list pages and single tickets, mixed and separately.

use anyhow::{Context as _, Result};

use crate::api::Connections;
use crate::baseline::bare_http;
use crate::bench::Bench;
use crate::delivery::wait_until_delivered;
use crate::load::Load;
use crate::market::{create_tickets, find_ticket, list_tickets};
use crate::progress::progress;

/// Many more than one list page shows.
const TICKETS: usize = 1_000;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("browse", "create tickets");
    let tickets = create_tickets(bench.load(), &bench.seller, TICKETS).await?;
    wait_until_delivered(&bench.system).await?;
    let singles: Vec<_> = tickets.iter().map(|ticket| find_ticket(ticket)).collect();
    let page = vec![list_tickets()];
    let mix: Vec<_> = singles.chunks(4).flat_map(|singles| page.iter().chain(singles)).cloned().collect();

    progress("browse", "read list pages and single tickets");
    let mixed = bench.load().repeat(&mix, 200).await?;
    progress("browse", "read list pages only");
    let pages = bench.load().repeat(&page, 200).await?;
    progress("browse", "read single tickets only");
    let single = bench.load().repeat(&singles, 200).await?;

    progress("browse", "measure the baseline");
    let mut connections = Connections::new(&bench.system.api);
    let page_body = connections.send(&page[0]).await?.body.to_vec();
    let ticket_body = connections.send(singles.first().context("no ticket was created")?).await?.body.to_vec();
    let load = Load { duration: bench.options.baseline_duration(), ..bench.load() };
    let bare = bare_http(load, &mix, page_body, ticket_body).await?;

    let ratio = mixed.per_second() / bare.per_second();
    bench.tally("browse, 1 list page per 4 tickets", mixed, format!("{ratio:.2} of baseline"));
    bench.tally("  list page of 50 only", pages, String::new());
    bench.tally("  single ticket only", single, String::new());
    bench.baseline("axum, same mix, fixed bodies", bare.per_second(), Some(bare.latencies));
    Ok(())
}
