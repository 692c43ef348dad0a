//! The whole marketplace in one process, on engines that are built in: nothing else to install.

mod config;
mod data;
mod dead_letters;
mod system;

use std::process::ExitCode;

use common::config::LogFormat;
use common::service::install_metrics;

use config::{Command, Config};
use system::System;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let mut config = Config::read();
    if let Some(Command::DeadLetters(dead_letters)) = config.command.take() {
        // What it does is told by what it prints.
        config.log.rust_log.get_or_insert("warn".into());
        config.log.init(LogFormat::Pretty);
        return dead_letters.run(&config.data_dir).await;
    }
    config.log.init(LogFormat::Pretty);
    install_metrics();
    System::open(&config).await?.run(&config).await?.exit()
}
