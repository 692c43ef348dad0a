//! The whole marketplace in one process, on embedded engines.

mod check;
mod config;
mod data;
mod dead_letters;
mod output;
mod payments;
mod republish;
mod system;
#[cfg(not(feature = "spread"))]
mod without_servers;

use std::io::{self, Write};
use std::process::ExitCode;

use common::error::chain;
use common::service::install_metrics;
use common::telemetry::LogFormat;

use config::{Command, Config};
use system::System;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Config::read()).await {
        Ok(code) => code,
        // Not returned from `main`, which would print several lines, and a backtrace if RUST_BACKTRACE is set.
        Err(error) => {
            let _closed = writeln!(io::stderr(), "error: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run(mut config: Config) -> anyhow::Result<ExitCode> {
    if let Some(command) = config.command.take() {
        // Its output is the result; logs are only for problems.
        config.telemetry.rust_log.get_or_insert("warn".parse()?);
        let _telemetry = config.telemetry.start(LogFormat::Pretty, "ticketing");
        return match command {
            Command::DeadLetters(dead_letters) => dead_letters.run(&config.data_dir).await,
            Command::Republish(republish) => republish.run(&config.data_dir).await,
            Command::Check(check) => check.run(&config.data_dir, &config.stripe).await,
            Command::Payments(payments) => payments.run(&config.data_dir, &config.stripe).await,
        };
    }
    let telemetry = config.telemetry.start(LogFormat::Pretty, "ticketing");
    install_metrics();
    let exit = System::open(&config).await?.run(&config).await?;
    drop(telemetry);
    exit.exit()
}
