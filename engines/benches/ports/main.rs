//! Benchmarks every engine behind the ports, side by side: `cargo bench --bench ports`, with `-- --help` for options.
//!
//! The benchmark starts the servers on free ports and skips those whose program is missing. All engines keep their
//! files in the temporary directory; if that is in memory, set `TMPDIR`, or durable writes appear cheaper than they
//! are. The clients share the processors with the servers. The bus on NATS is compared with a bare `async-nats` client.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to the terminal")]

mod engines;
mod options;

mod bus;
mod jobs;
mod store;

mod bare_nats;
mod report;

use anyhow::Result;
use clap::Parser as _;

use crate::engines::Engines;
use crate::options::{Options, Port};
use crate::report::Report;

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let engines = Engines::start().await?;
    let mut report = Report::default();
    if options.wants(Port::Store) {
        for (engine, store) in &engines.stores {
            progress("store", engine);
            store::measure(&mut report, engine, store, &options).await?;
        }
    }
    if options.wants(Port::Bus) {
        measure_buses(&mut report, &engines, &options).await?;
    }
    if options.wants(Port::Jobs) {
        // Redis has no bus; its jobs are published on NATS.
        for ((engine, jobs), (_, bus)) in engines.jobs.iter().zip(&engines.buses) {
            progress("jobs", engine);
            jobs::measure(&mut report, engine, jobs, &**bus, &options).await?;
        }
    }
    println!("\n{report}");
    Ok(())
}

/// Alternates between engines, so that other load on the machine affects all of them.
async fn measure_buses(report: &mut Report, engines: &Engines, options: &Options) -> Result<()> {
    for round in 1..=bus::ROUNDS {
        let phase = format!("bus, round {round} of {}", bus::ROUNDS);
        for (engine, bus) in &engines.buses {
            progress(&phase, engine);
            bus::measure(report, engine, bus, options, round).await?;
        }
        if let Some(url) = &engines.nats_url {
            progress(&phase, bare_nats::ENGINE);
            bare_nats::measure(report, url, options, round).await?;
        }
    }
    bare_nats::compare(report, engines::NATS);
    Ok(())
}

/// Prints what the run is doing now, on standard error.
fn progress(phase: &str, engine: &str) {
    eprintln!("· {phase}: {engine}");
}
