//! The payments service by itself, on MongoDB and NATS JetStream.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use common::config::read;
use common::spread::{BusConfig, NotStarted, ServiceConfig};

/// The payments service by itself, on MongoDB and NATS JetStream.
#[derive(Parser)]
#[command(version)]
struct Config {
    #[command(flatten)]
    stripe: payments::StripeConfig,
    #[command(flatten)]
    service: ServiceConfig,
    #[command(flatten)]
    bus: BusConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = read(Config::command().mut_arg("stripe_key", |key| key.required(true)));
    let gateway = config.stripe.gateway().map_err(NotStarted::because);
    let build = |database: &_, sessions| Ok(payments::service(database, sessions, gateway?));
    config.service.run("payments", payments::SCHEMAS, Some(config.bus), build).await
}
