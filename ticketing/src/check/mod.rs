//! `ticketing check`: compares all databases, the bus and the money at Stripe with the invariants of ARCHITECTURE.md.
//!
//! It only reads. `read.rs` takes a snapshot of all records, and each rule is a function over it. A system that runs
//! changes between two reads, so a difference counts only if it is still there, with the same records in the same
//! versions, after several snapshots. Differences that work in flight explains are reported apart.

mod embedded;
mod finding;
mod ledger;
mod log;
mod read;
mod records;
mod rules;
#[cfg(feature = "spread")]
mod with_servers;
#[cfg(not(feature = "spread"))]
mod without_servers;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use common::clock::{Clock, SystemClock};
use payments::StripeConfig;

use crate::output::{plain, write};
use finding::{Finding, Findings};
use read::{Snapshot, Sources};
#[cfg(feature = "spread")]
use with_servers::Source;
#[cfg(not(feature = "spread"))]
use without_servers::Source;

/// The time between two snapshots.
const PAUSE: Duration = Duration::from_millis(500);

/// What to check, and for how long.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ticketing check
  ticketing check --data-dir /var/lib/ticketing
  STRIPE_KEY=sk_live_... ticketing check       compares Stripe's intents of the last 24 hours, too

The system may be running: what has changed between two reads is not reported, and what is on its way is reported as
waiting. It exits with status 1 if anything differs.

It holds all records in memory: about two kilobytes for each purchase with its events, twice that in a running system.")]
pub(crate) struct Check {
    /// How long a difference may take to disappear, in seconds. The check ends as soon as there is none; 0 compares once.
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    wait: u32,

    #[command(flatten)]
    source: Source,
}

impl Check {
    /// Runs the command.
    pub(crate) async fn run(self, data: &Path, stripe: &StripeConfig) -> anyhow::Result<ExitCode> {
        let sources = self.source.open(data, stripe).await?;
        let (snapshot, found) = compare(&sources, Duration::from_secs(self.wait.into())).await?;
        let (waiting, differences): (Vec<_>, Vec<_>) = found.0.iter().partition(|finding| finding.waits_for.is_some());
        write(&report(&sources, &snapshot, &differences, &waiting))?;
        Ok(if differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Reads until nothing differs, or for this time. Returns what was there each time.
async fn compare(sources: &Sources, wait: Duration) -> anyhow::Result<(Snapshot, Findings)> {
    let clock = SystemClock;
    let mut snapshot = sources.read(clock.now()).await?;
    let mut found = rules::check(&snapshot, None);
    // Counts from here, so that there is a second snapshot even if reading takes long.
    let end = clock.now().plus(wait);
    while !found.0.is_empty() && !snapshot.is_stopped && clock.now() < end {
        tokio::time::sleep(PAUSE).await;
        let next = sources.read(clock.now()).await?;
        found = rules::check(&next, Some(&snapshot)).persisting(found);
        snapshot = next;
    }
    Ok((snapshot, found))
}

fn report(sources: &Sources, snapshot: &Snapshot, differences: &[&Finding], waiting: &[&Finding]) -> String {
    let mut text = String::new();
    let mut group = None;
    for finding in differences {
        if group.replace(finding.invariant) != Some(finding.invariant) {
            text += &format!("{}:\n", finding.invariant.title());
        }
        text += &format!("  {}. {}\n", plain(&finding.text), plain(&finding.remedy));
    }
    if !waiting.is_empty() {
        text += if snapshot.is_stopped { "Waiting for the start of the system:\n" } else { "Waiting:\n" };
    }
    for finding in waiting {
        let reason = finding.waits_for.as_deref().unwrap_or_default();
        text += &format!("  {} ({})\n", plain(&finding.text), plain(reason));
    }
    for unchecked in &sources.unchecked {
        text += &format!("Not checked: {unchecked}\n");
    }
    let outcome = match differences.len() {
        0 if sources.unchecked.is_empty() => "Every invariant holds".to_owned(),
        0 => "Every invariant that was checked holds".to_owned(),
        1 => "1 difference".to_owned(),
        count => format!("{count} differences"),
    };
    text + &format!("{outcome}: {}{}.\n", counts(snapshot), waits(waiting.len()))
}

fn counts(snapshot: &Snapshot) -> String {
    let count = |count: Option<usize>, what| format!("{} {what}", count.unwrap_or_default());
    let counts = [
        count(snapshot.tickets.as_ref().map(|tickets| tickets.len()), "tickets"),
        count(snapshot.orders.as_ref().map(|orders| orders.len()), "orders"),
        count(snapshot.payments.as_ref().map(|payments| payments.len()), "payments"),
        count(snapshot.log.as_ref().map(|log| log.events), "events"),
    ];
    counts.join(", ")
}

fn waits(count: usize) -> String {
    if count == 0 { String::new() } else { format!("; {count} waiting") }
}
