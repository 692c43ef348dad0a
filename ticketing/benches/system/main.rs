//! Benchmarks the whole system: `cargo bench -p ticketing`, with `-- --help` for options.
//!
//! The benchmark starts the real binary on a temporary directory, or with `--spread` one process per service on its own
//! MongoDB, NATS and Redis servers. It drives them over HTTP/1.1 keep-alive connections from a single thread and prints
//! one table.
//!
//! Figures include what users wait for: writes are durable, the access log goes to a file, and the load generator shares
//! the processors with the system. Rates that depend most on the machine are followed by a baseline (a static HTTP
//! server, SQLite, argon2id) from the same run. An unexpected status, a ticket sold twice or an undelivered event fails
//! the run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to the terminal")]

mod bench;
mod options;
mod scenarios;

mod baseline;
mod delivery;
mod market;

mod deployment;
mod process;
mod stripe;
mod system;

mod api;
mod http;
mod latencies;
mod load;
mod progress;
mod report;

use std::process::ExitCode;

use anyhow::Result;

use crate::bench::Bench;
use crate::options::Options;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let mut bench = Bench::start(Options::read()).await?;
    let outcome = scenarios::run(&mut bench).await;
    let report = bench.finish(outcome).await?;
    println!("\n{report}");
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
