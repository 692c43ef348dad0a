//! The orders service by itself, on MongoDB and NATS JetStream.

use std::process::ExitCode;

use clap::Parser;
use common::spread::{Alone, BusConfig, HttpConfig, MongoConfig, ProcessConfig};

/// The orders service by itself, on MongoDB and NATS JetStream.
#[derive(Parser)]
#[command(version)]
struct Config {
    #[command(flatten)]
    http: HttpConfig,
    #[command(flatten)]
    orders: orders::OrdersConfig,
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
        let database = config.mongo.open("orders", orders::SCHEMAS).await?;
        let service = orders::service(&database, config.http.sessions(), &config.orders);
        Ok(Alone { service, bus: Some(config.bus.open().await?), port: Some(config.http.port) })
    })
    .await
}
