//! The expiration service by itself, on Redis and NATS JetStream.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use common::config::read;
use common::spread::{Alone, BusConfig, ProcessConfig, RedisConfig, clock};

/// The expiration service by itself, on Redis and NATS JetStream.
#[derive(Parser)]
#[command(version)]
struct Config {
    #[command(flatten)]
    redis: RedisConfig,
    #[command(flatten)]
    bus: BusConfig,
    #[command(flatten)]
    process: ProcessConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = read(Config::command());
    common::spread::main(&config.process, async || {
        let bus = config.bus.open(None).await?;
        let jobs = config.redis.open("expiration", &bus).await?;
        let service = expiration::service(jobs, bus.clone(), clock());
        Ok(Alone { service, bus: Some(bus), port: None })
    })
    .await
}
