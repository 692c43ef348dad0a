//! The tickets service by itself, on MongoDB and NATS JetStream.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use common::config::read;
use common::spread::{BusConfig, ServiceConfig};

/// The tickets service by itself, on MongoDB and NATS JetStream.
#[derive(Parser)]
#[command(version)]
struct Config {
    #[command(flatten)]
    service: ServiceConfig,
    #[command(flatten)]
    bus: BusConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = read(Config::command());
    let build = |database: &_, sessions| Ok(tickets::service(database, sessions));
    config.service.run("tickets", tickets::SCHEMAS, Some(config.bus), build).await
}
