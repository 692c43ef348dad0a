//! What the ports can do on each engine, side by side: `cargo bench -p common`, `-- --help` for options.
//!
//! The servers are started here, on free ports, all engines'
//! files in the same temporary directory (`TMPDIR` moves it; one in memory makes durable writes cheaper than they are).
//! A server whose program is missing is skipped aloud. Beside the bus on NATS stands what bare `async-nats` reaches in
//! the same run. The clients share the processors with the servers.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to the terminal")]

mod engines;
mod options;

mod bus;
mod jobs;
mod store;

mod bare;
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
        // In turns, so that what else the machine does meets all of them.
        for round in 1..=bus::ROUNDS {
            for (engine, bus) in &engines.buses {
                progress(&format!("bus, round {round} of {}", bus::ROUNDS), engine);
                bus::measure(&mut report, engine, bus, &options, round).await?;
            }
            if let Some(nats) = &engines.nats {
                progress(&format!("bus, round {round} of {}", bus::ROUNDS), bare::ENGINE);
                bare::measure(&mut report, nats, &options, round).await?;
            }
        }
        report.compare(engines::NATS, bare::ENGINE);
    }
    if options.wants(Port::Jobs) {
        // Each fires to the bus of its kind.
        for ((engine, jobs), (_, bus)) in engines.jobs.iter().zip(&engines.buses) {
            progress("jobs", engine);
            jobs::measure(&mut report, engine, jobs, &**bus, &options).await?;
        }
    }
    println!("\n{report}");
    Ok(())
}

/// Says on the terminal what happens now.
fn progress(port: &str, engine: &str) {
    eprintln!("· {port} on {engine}");
}
