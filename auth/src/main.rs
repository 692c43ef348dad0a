//! The auth service by itself, on MongoDB.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use common::config::read;
use common::spread::ServiceConfig;

/// The auth service by itself, on MongoDB.
#[derive(Parser)]
#[command(version)]
struct Config {
    #[command(flatten)]
    auth: auth::AuthConfig,
    #[command(flatten)]
    service: ServiceConfig,
}

#[tokio::main]
async fn main() -> ExitCode {
    let config: Config = read(Config::command());
    let build = |database: &_, sessions| Ok(auth::service(database, sessions, config.auth));
    config.service.run("auth", auth::SCHEMAS, None, build).await
}
