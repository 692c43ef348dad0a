//! Runs the simulator as a server.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use common::clock::SystemClock;
use common::config::read;
use common::service::Signals;
use common::store::Database;
use common::telemetry::{LogFormat, TelemetryConfig};
use engines::sqlite::SqliteStore;

/// Simulates Stripe's HTTP API, to try the system without a Stripe account. No real money moves.
///
/// Start the payments service with STRIPE_API_BASE=http://127.0.0.1:12111 STRIPE_KEY=sk_test_anything
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

    #[command(flatten)]
    telemetry: TelemetryConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = read(Config::command());
    let _telemetry = config.telemetry.start(LogFormat::Pretty, "stripe-simulator");
    let mut signals = Signals::new()?;
    let store = SqliteStore::open(&config.file, stripe_simulator::SCHEMAS)?;
    let database = Database::new(Arc::new(store), Arc::new(SystemClock));
    let address = stripe_simulator::start(&database, (config.host, config.port).into()).await?;
    writeln!(std::io::stdout(), "Stripe simulator on http://{address}: no real money moves")?;
    // Replies leave only after their writes are durable, so there is nothing to drain.
    signals.next().await;
    Ok(())
}
