//! The payments service as a standalone process on MongoDB and NATS JetStream.

use std::process::ExitCode;

use engines::standalone::{MongoAndNats, Standalone};
use payments::StripeConfig;

#[tokio::main]
async fn main() -> ExitCode {
    Standalone { name: "payments", about: env!("CARGO_PKG_DESCRIPTION"), schemas: payments::SCHEMAS }
        .run_with::<StripeConfig, MongoAndNats>(
            |command| command.mut_arg("stripe_key", |key| key.required(true)),
            |config, parts| {
                let (stripe, secrets) = (config.stripe()?, config.webhook_secrets());
                Ok(payments::service(&parts.database, parts.sessions, stripe, secrets))
            },
        )
        .await
}
