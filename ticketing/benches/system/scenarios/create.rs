//! Sellers: listing tickets.

use anyhow::Result;

use super::step;
use crate::baseline::bare_sqlite;
use crate::bench::Bench;
use crate::report::thousands;
use crate::settle::settled;

/// As large as a stored ticket and its event.
const DOCUMENT_BYTES: usize = 400;

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("create", "bare durable writes");
    let (document, duration) = ("x".repeat(DOCUMENT_BYTES), bench.options.baseline_duration());
    let one_by_one = bare_sqlite(bench.directory.path(), 1, &document, duration)?;
    let grouped = bare_sqlite(bench.directory.path(), 32, &document, duration)?;

    step("create", "listing tickets");
    let request = vec![bench.seller.create_ticket()];
    let tally = bench.load().repeat(&request, 201).await?;
    let created = tally.latencies.count();
    let began_waiting = std::time::Instant::now();
    let late = settled(bench.server.admin).await?.saturating_duration_since(began_waiting);

    let remark = format!(
        "{:.2} of bare SQLite's {} inserts/s in groups of 32 ({} one by one); {created} events delivered {:.1} s later",
        tally.per_second() / grouped,
        thousands(grouped),
        thousands(one_by_one),
        late.as_secs_f64(),
    );
    bench.tally("create ticket", tally, remark);
    Ok(())
}
