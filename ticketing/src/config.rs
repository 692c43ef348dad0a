//! What the whole system can be told: the variables of its services, each also a flag.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use common::config::{LogConfig, read};
use secrecy::SecretString;

use crate::dead_letters::DeadLetters;

/// Ticketing: a marketplace for tickets, the whole of it in one process.
///
/// Every service runs on SQLite files in one directory; there is nothing to install and nothing to configure. Anyone
/// lists a ticket, anyone buys one; buying reserves it for fifteen minutes, unpaid it is released. Without a Stripe key
/// a simulator takes Stripe's place and no real money moves.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = "Examples:
  ticketing                                  everything on http://127.0.0.1:3000/api, data in ./data
  ticketing --order-expiration-seconds 5     watch reservations expire
  ticketing dead-letters list                what listeners rejected; also while the system runs
  PORT=8080 DATA_DIR=/var/lib/ticketing STRIPE_KEY=sk_live_... ticketing

Secrets belong into the environment, not on the command line, where every user of the machine sees them."
)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Port of the HTTP API; 0 lets the system choose.
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub(crate) port: u16,

    /// Port of /healthz/live, /healthz/ready and /metrics; 0 lets the system choose.
    #[arg(long, env = "ADMIN_PORT", default_value_t = 9090)]
    pub(crate) admin_port: u16,

    /// Directory of all data. Made if it is missing; belongs to one process at a time.
    #[arg(long, env = "DATA_DIR", global = true, default_value = "./data", value_name = "DIRECTORY")]
    pub(crate) data_dir: PathBuf,

    /// Key that signs sessions. Without it one is made and kept in the data directory.
    #[arg(long, env = "JWT_KEY", hide_env_values = true, value_parser = common::config::secret, value_name = "SECRET")]
    pub(crate) jwt_key: Option<SecretString>,

    #[command(flatten)]
    pub(crate) auth: auth::AuthConfig,

    #[command(flatten)]
    pub(crate) orders: orders::OrdersConfig,

    #[command(flatten)]
    pub(crate) stripe: payments::StripeConfig,

    #[command(flatten)]
    pub(crate) log: LogConfig,
}

/// What to do other than to run the system.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists, shows, replays or drops events that a listener rejected; also while the system runs.
    DeadLetters(DeadLetters),
}

impl Config {
    /// Reads the command line and the environment; ends the program with a message when they are wrong.
    pub(crate) fn read() -> Self {
        // On one's own machine there is no HTTPS, and a browser would not send a secure cookie.
        read(Self::command().mut_arg("cookie_secure", |flag| flag.default_value("false")))
    }
}
