//! Sellers: listing tickets.

use std::time::Instant;

use anyhow::Result;

use super::step;
use crate::baseline::bare_sqlite;
use crate::bench::Bench;
use crate::load::Latencies;
use crate::settle::settled;

/// As large as a stored ticket and its event.
const DOCUMENT_BYTES: usize = 400;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("create", "listing tickets");
    let request = vec![bench.seller.create_ticket()];
    let tally = bench.load().repeat(&request, 201).await?;
    let ended = Instant::now();
    let late = settled(&bench.server).await?.saturating_duration_since(ended);

    let delivered = format!("every event delivered {:.1} s later", late.as_secs_f64());
    if bench.options.spread() {
        bench.tally("create ticket", tally, delivered);
        return Ok(());
    }
    step("create", "bare durable writes");
    let (document, duration) = ("x".repeat(DOCUMENT_BYTES), bench.options.baseline_duration());
    let one_by_one = bare_sqlite(bench.directory.path(), 1, &document, duration)?;
    let grouped = bare_sqlite(bench.directory.path(), 32, &document, duration)?;
    let ratio = tally.per_second() / grouped;
    bench.tally("create ticket", tally, format!("{ratio:.2} of bare SQLite in groups; {delivered}"));
    bench.baseline("bare SQLite, 32 inserts a commit", grouped, Latencies::default());
    bench.baseline("bare SQLite, 1 insert a commit", one_by_one, Latencies::default());
    Ok(())
}
