//! The configuration: the variables of all services, each also a flag.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use common::config::{RetentionConfig, read};
use common::service::ProcessConfig;
use common::telemetry::TelemetryConfig;
use secrecy::SecretString;

use crate::check::Check;
use crate::dead_letters::DeadLetters;
use crate::payments::Payments;
use crate::republish::Republish;

/// Ticketing: a ticket marketplace in one process.
///
/// All services run on SQLite files in one directory: nothing to install, nothing to configure. Anyone can list a
/// ticket. Ordering one reserves it for fifteen minutes; if it is not paid for by then, it goes back on sale. Without a
/// Stripe key a simulator stands in for Stripe, and no real money moves.
#[derive(Parser, Debug)]
#[command(
    version,
    after_help = "Examples:
  ticketing                                  everything on http://127.0.0.1:3000/api, data in ./data
  ticketing --order-expiration-seconds 5     watch reservations expire
  ticketing dead-letters list                events that listeners rejected
  ticketing check                            compares all records with each other
  ticketing payments stuck                   payments that need your attention
  ticketing republish tickets --since 2h     announce tickets again after a loss of events
  PORT=8080 DATA_DIR=/var/lib/ticketing STRIPE_KEY=sk_live_... ticketing

Pass secrets in the environment. Every user of the machine can read the command line."
)]
pub(crate) struct Config {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// Port of the HTTP API; 0 picks a free one.
    #[arg(long, env = "PORT", default_value_t = 3000)]
    pub(crate) port: u16,

    /// Directory of all data; created if missing, used by one process at a time.
    #[arg(long, env = "DATA_DIR", global = true, default_value = "./data", value_name = "DIRECTORY")]
    pub(crate) data_dir: PathBuf,

    /// Key that signs sessions [default: generated, stored in the data directory].
    #[arg(long, env = "JWT_KEY", hide_env_values = true, value_parser = common::config::secret, value_name = "SECRET")]
    pub(crate) jwt_key: Option<SecretString>,

    #[command(flatten)]
    pub(crate) auth: auth::AuthConfig,

    #[command(flatten)]
    pub(crate) orders: orders::OrdersConfig,

    #[command(flatten)]
    pub(crate) stripe: payments::StripeConfig,

    #[command(flatten)]
    pub(crate) retention: RetentionConfig,

    #[command(flatten)]
    pub(crate) process: ProcessConfig,

    #[command(flatten)]
    pub(crate) telemetry: TelemetryConfig,
}

/// What to do instead of running the system.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Command {
    /// Lists, shows, replays or drops events that listeners rejected. The system may be running.
    DeadLetters(DeadLetters),
    /// Compares all records, events and payments with each other, and names each difference. The system may be running.
    Check(Check),
    /// Lists payments that are stuck or differ from Stripe, or refunds an order. The system may be running.
    Payments(Payments),
    /// Announces the current state of records again, to repair what lost events have left behind. The system may be
    /// running.
    Republish(Republish),
}

impl Config {
    /// Reads the command line and the environment. Exits with a message if they are invalid.
    pub(crate) fn read() -> Self {
        let command = Self::command()
            // Without HTTPS, as on a developer's machine, browsers do not send secure cookies.
            .mut_arg("cookie_secure", |flag| flag.default_value("false"))
            // Opening it to the network should be a decision.
            .mut_arg("host", |flag| flag.default_value("127.0.0.1"))
            // There is no proxy that has to notice, and no other replica.
            .mut_arg("shutdown_delay_seconds", |flag| flag.default_value("0"));
        read(command)
    }
}
