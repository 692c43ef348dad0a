//! The orders service as a standalone process on MongoDB and NATS JetStream.

use std::process::ExitCode;

use engines::standalone::{MongoAndNats, Standalone};
use orders::OrdersConfig;

#[tokio::main]
async fn main() -> ExitCode {
    Standalone { name: "orders", about: env!("CARGO_PKG_DESCRIPTION"), schemas: orders::SCHEMAS }
        .run::<OrdersConfig, MongoAndNats>(|config, parts| {
            Ok(orders::service(&parts.database, parts.sessions, &config))
        })
        .await
}
