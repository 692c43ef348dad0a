//! The expiration service as a standalone process on Redis and NATS JetStream.

use std::process::ExitCode;

use engines::standalone::{RedisAndNats, Standalone};

#[tokio::main]
async fn main() -> ExitCode {
    Standalone { name: "expiration", about: env!("CARGO_PKG_DESCRIPTION"), schemas: &[] }
        .run::<(), RedisAndNats>(|(), parts| Ok(expiration::service(parts.jobs, parts.bus, parts.clock)))
        .await
}
