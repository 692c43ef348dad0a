//! The auth service by itself, on MongoDB.

use std::process::ExitCode;

use clap::Parser;
use common::spread::{Alone, HttpConfig, MongoConfig, ProcessConfig};

/// The auth service by itself, on MongoDB.
#[derive(Parser)]
#[command(version)]
struct Config {
    #[command(flatten)]
    http: HttpConfig,
    #[command(flatten)]
    auth: auth::AuthConfig,
    #[command(flatten)]
    mongo: MongoConfig,
    #[command(flatten)]
    process: ProcessConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config = Config::parse();
    common::spread::main(&config.process, async || {
        let database = config.mongo.open("auth", auth::SCHEMAS).await?;
        let service = auth::service(&database, config.http.sessions(), config.auth.clone());
        Ok(Alone { service, bus: None, port: Some(config.http.port) })
    })
    .await
}
