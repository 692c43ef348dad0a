//! The auth service as a standalone process on MongoDB.

use std::process::ExitCode;

use auth::AuthConfig;
use engines::standalone::{MongoOnly, Standalone};

#[tokio::main]
async fn main() -> ExitCode {
    Standalone { name: "auth", about: env!("CARGO_PKG_DESCRIPTION"), schemas: auth::SCHEMAS }
        .run::<AuthConfig, MongoOnly>(|config, parts| Ok(auth::service(&parts.database, parts.sessions, config)))
        .await
}
