//! The tickets service as a standalone process on MongoDB and NATS JetStream.

use std::process::ExitCode;

use engines::standalone::{MongoAndNats, Standalone};

#[tokio::main]
async fn main() -> ExitCode {
    Standalone { name: "tickets", about: env!("CARGO_PKG_DESCRIPTION"), schemas: tickets::SCHEMAS }
        .run::<(), MongoAndNats>(|(), parts| {
            Ok(tickets::service(&parts.database, parts.sessions, parts.event_retention))
        })
        .await
}
