//! Runs the simulator as a server.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use common::clock::SystemClock;
use common::config::{read, secret};
use common::service::Signals;
use common::store::Database;
use common::telemetry::{LogFormat, TelemetryConfig};
use engines::sqlite::SqliteStore;
use secrecy::{ExposeSecret, SecretString};
use stripe_simulator::{Endpoint, Settings};

/// Simulates Stripe's HTTP API, to try the system without a Stripe account. No real money moves.
///
/// Start the payments service with STRIPE_API_BASE=http://127.0.0.1:12111 STRIPE_KEY=sk_test_anything
///
/// Under /_simulator, without a key: POST /faults {"operation": "capture", "fault": "lostResponse"} makes coming calls
/// fail; POST /payment_intents/{id}/{authenticate|fail_authentication|settle|fail|cancel|capture|refund|dispute|lapse}
/// does what a person or a bank does; PUT /webhooks {"url": "…", "secret": "…"} sets where events are delivered to.
#[derive(Parser)]
#[command(version)]
struct Config {
    /// Port to listen on; 0 picks a free one.
    #[arg(long, env = "PORT", default_value_t = 12111)]
    port: u16,

    /// Address to listen on; 0.0.0.0 is every IPv4 interface.
    #[arg(long, env = "HOST", default_value_t = Ipv4Addr::LOCALHOST.into(), value_name = "ADDRESS")]
    host: IpAddr,

    /// Database file.
    #[arg(long, default_value = "./stripe-simulator.db", value_name = "FILE")]
    file: PathBuf,

    /// Delays each API call by this many milliseconds.
    #[arg(long, default_value_t = 0, value_name = "N")]
    delay_ms: u64,

    /// Where events are delivered to. Kept in the database.
    #[arg(long, env = "STRIPE_WEBHOOK_URL", requires = "webhook_secret", value_name = "URL")]
    webhook_url: Option<String>,

    /// Signs deliveries.
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", value_parser = secret, hide_env_values = true, value_name = "SECRET")]
    webhook_secret: Option<SecretString>,

    #[command(flatten)]
    telemetry: TelemetryConfig,
}

impl Config {
    fn settings(&self) -> anyhow::Result<Settings> {
        let endpoint = self.webhook_url.as_ref().zip(self.webhook_secret.as_ref());
        let webhook = endpoint.map(|(url, secret)| Endpoint::new(url, secret.expose_secret()));
        if let Some(endpoint) = &webhook {
            endpoint.check()?;
        }
        Ok(Settings { delay: Duration::from_millis(self.delay_ms), webhook })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = read(Config::command());
    let _telemetry = config.telemetry.start(LogFormat::Pretty, "stripe-simulator");
    let settings = config.settings()?;
    let mut signals = Signals::new()?;
    let store = SqliteStore::open(&config.file, stripe_simulator::SCHEMAS)?;
    let database = Database::new(Arc::new(store), Arc::new(SystemClock));
    let address = stripe_simulator::start_with(&database, (config.host, config.port).into(), settings).await?;
    writeln!(std::io::stdout(), "Stripe simulator on http://{address}: no real money moves")?;
    // Replies leave only after their writes are durable, so there is nothing to drain.
    signals.next().await;
    Ok(())
}
