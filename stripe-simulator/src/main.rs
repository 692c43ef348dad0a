//! The Stripe simulator by itself, for a spread system without a Stripe account.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;

use clap::{CommandFactory, Parser};
use common::clock::SystemClock;
use common::config::{LogConfig, LogFormat, read};
use common::service::Signals;
use common::store::Database;
use engines::sqlite::SqliteStore;

/// Stands in for Stripe's HTTP API, so that the system can be tried without an account. No real money moves.
///
/// Point the payments service at it: STRIPE_API_BASE=http://127.0.0.1:12111 STRIPE_KEY=sk_test_anything
#[derive(Parser)]
#[command(version)]
struct Config {
    /// Port to listen on; 0 lets the system choose.
    #[arg(long, env = "PORT", default_value_t = 12111)]
    port: u16,

    /// Address to listen on: nobody but this machine, unless told otherwise.
    #[arg(long, default_value_t = Ipv4Addr::LOCALHOST.into())]
    listen: IpAddr,

    /// File that remembers the payments.
    #[arg(long, default_value = "./stripe-simulator.db", value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    log: LogConfig,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config: Config = read(Config::command());
    config.log.init(LogFormat::Pretty);
    let mut signals = Signals::new()?;
    let store = SqliteStore::open(&config.file, stripe_simulator::SCHEMAS)?;
    let database = Database::new(Arc::new(store), Arc::new(SystemClock));
    let address = stripe_simulator::start(&database, (config.listen, config.port).into()).await?;
    writeln!(std::io::stdout(), "Stripe simulator on http://{address}: no real money moves")?;
    // What was answered is on disk, so there is nothing to end in good order.
    signals.next().await;
    Ok(())
}
