//! The service's configuration.

use clap::Args;

/// Configuration of the orders service.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Orders")]
pub struct OrdersConfig {
    /// How long an order reserves its ticket before it expires unpaid, in seconds.
    #[arg(long, env = "ORDER_EXPIRATION_SECONDS", default_value_t = 900, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub order_expiration_seconds: u32,
}
