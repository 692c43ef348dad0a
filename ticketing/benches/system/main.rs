//! How fast the whole system is, and what it needs for it: `cargo bench -p ticketing`, `-- --help` for options.
//!
//! Starts the real binary on a temporary directory, or with `--spread` a process per service on servers of their own,
//! drives it over HTTP/1.1 keep-alive connections from one thread of this process, and prints one table. Every figure includes what a visitor would wait for: the access log goes to a
//! file, writes are durable, and the load generator shares the processors with the system. Next to the figures that
//! depend most on the machine stand those of the bare thing (an HTTP server, SQLite, argon2id) measured in the same
//! run, with the ratio. What may not happen (an unexpected status, a ticket sold twice, an event not delivered) is
//! reported and fails the run.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that reports to the terminal")]

mod bench;
mod options;
mod scenarios;

mod baseline;
mod market;
mod settle;

mod process;
mod server;
#[path = "../../tests/spread/services.rs"]
mod services;
mod site;

mod api;
mod http;
mod load;
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

/// Says on the terminal what happens now.
fn progress(what: &str) {
    eprintln!("· {what}");
}
