//! The payments service by itself, on MongoDB and NATS JetStream.

use std::process::ExitCode;

use clap::Parser;
use common::spread::{Alone, BusConfig, HttpConfig, MongoConfig, NotStarted, ProcessConfig};

/// The payments service by itself, on MongoDB and NATS JetStream.
#[derive(Parser)]
#[command(version)]
struct Config {
    #[command(flatten)]
    http: HttpConfig,
    #[command(flatten)]
    stripe: payments::StripeConfig,
    #[command(flatten)]
    mongo: MongoConfig,
    #[command(flatten)]
    bus: BusConfig,
    #[command(flatten)]
    process: ProcessConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    common::spread::main(&config.process, async || {
        let gateway = config.stripe.gateway().map_err(NotStarted::because)?;
        let database = config.mongo.open("payments", payments::SCHEMAS).await?;
        let service = payments::service(&database, config.http.sessions(), gateway);
        Ok(Alone { service, bus: Some(config.bus.open().await?), port: Some(config.http.port) })
    })
    .await
}
