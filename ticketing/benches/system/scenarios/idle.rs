//! What the server costs when nobody wants anything.

use std::time::Duration;

use anyhow::Result;

use super::step;
use crate::bench::Bench;
use crate::settle::settled;

/// So that what the load left behind (closing connections, last positions) does not count.
const CALM: Duration = Duration::from_secs(1);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    step("idle", "watching the processor time");
    settled(&bench.server).await?;
    tokio::time::sleep(CALM).await;
    let watched = bench.options.idle_duration();
    let before = bench.server.processor_time();
    tokio::time::sleep(watched).await;
    if let (Some(before), Some(after)) = (before, bench.server.processor_time()) {
        let used = after.saturating_sub(before);
        let percent = 100.0 * used.as_secs_f64() / watched.as_secs_f64();
        let used = format!("{} ms of processor time in {} s ({percent:.1} %)", used.as_millis(), watched.as_secs());
        bench.report.fact("idle", used);
    }
    Ok(())
}
