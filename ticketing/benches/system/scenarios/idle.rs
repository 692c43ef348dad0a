//! The processor time that an idle system uses.

use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::bench::Bench;
use crate::delivery::wait_until_delivered;
use crate::progress::progress;

/// Lets the system finish work left over from the load, such as closing connections and saving positions.
const COOL_DOWN: Duration = Duration::from_secs(1);

pub(super) async fn run(bench: &mut Bench) -> Result<()> {
    progress("idle", "watch the processor time");
    wait_until_delivered(&bench.system).await?;
    sleep(COOL_DOWN).await;
    let watched = bench.options.idle_duration();
    let before = bench.system.processor_time();
    sleep(watched).await;
    if let (Some(before), Some(after)) = (before, bench.system.processor_time()) {
        let used = after.saturating_sub(before);
        let percent = 100.0 * used.as_secs_f64() / watched.as_secs_f64();
        let used = format!("{} ms of processor time in {} s ({percent:.1} %)", used.as_millis(), watched.as_secs());
        bench.report.fact("idle", used);
    }
    Ok(())
}
