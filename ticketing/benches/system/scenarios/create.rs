//! Sellers create tickets.

use std::time::Instant;

use anyhow::Result;

use crate::baseline::bare_sqlite;
use crate::bench::Bench;
use crate::delivery::wait_until_delivered;
use crate::progress::progress;

/// About the size of a stored ticket with its event.
const DOCUMENT_BYTES: usize = 400;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("create", "create tickets");
    let request = vec![bench.seller.create_ticket()];
    let tally = bench.load().repeat(&request, 201).await?;
    let ended = Instant::now();
    let delay = wait_until_delivered(&bench.system).await?.saturating_duration_since(ended);

    let delivered = format!("all events delivered {:.1} s later", delay.as_secs_f64());
    if bench.options.spread() {
        bench.tally("create ticket", tally, delivered);
        return Ok(());
    }
    progress("create", "measure the baselines");
    let (document, duration) = ("x".repeat(DOCUMENT_BYTES), bench.options.baseline_duration());
    let single = bare_sqlite(bench.directory.path(), 1, &document, duration)?;
    let grouped = bare_sqlite(bench.directory.path(), 32, &document, duration)?;
    let ratio = tally.per_second() / grouped;
    bench.tally("create ticket", tally, format!("{ratio:.2} of baseline with 32 inserts per commit, {delivered}"));
    bench.baseline("SQLite, 32 inserts per commit", grouped, None);
    bench.baseline("SQLite, 1 insert per commit", single, None);
    Ok(())
}
