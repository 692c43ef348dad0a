//! The service's configuration.

use clap::{Args, ValueEnum};

/// Configuration of the orders service.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Orders")]
pub struct OrdersConfig {
    /// How long an order reserves its ticket before it expires unpaid, in seconds, at most a day.
    #[arg(long, env = "ORDER_EXPIRATION_SECONDS", default_value_t = 900, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub order_expiration_seconds: u32,

    /// What happens to a complete order whose payment fails for good.
    #[arg(long, env = "CAPTURE_FAILURE", value_enum, default_value_t = CaptureFailure::Cancel, value_name = "ACTION")]
    pub capture_failure: CaptureFailure,
}

/// What happens to a complete order whose payment cannot be captured. A refunded order is always cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CaptureFailure {
    /// The order is cancelled and its ticket goes back on sale.
    Cancel,
    /// The order stays complete. The staff collects the money in another way.
    Keep,
}
