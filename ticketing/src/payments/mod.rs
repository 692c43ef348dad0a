//! `ticketing payments`: lists payments that are stuck or differ from Stripe, and refunds.

mod embedded;
#[cfg(feature = "spread")]
mod with_mongo;
#[cfg(not(feature = "spread"))]
mod without_mongo;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use common::clock::Timestamp;
use common::ids::OrderId;
use common::store::Database;
use payments::operations::{self, Refund, StuckPayment};
use payments::{Difference, Drift, StripeConfig};

use crate::output::{plain, write};
#[cfg(feature = "spread")]
use with_mongo::Source;
#[cfg(not(feature = "spread"))]
use without_mongo::Source;

/// What to do about payments, and where to find them.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  ticketing payments stuck
  ticketing payments drift --hours 24      with STRIPE_KEY, and STRIPE_API_BASE for a simulator
  ticketing payments refund 65c0ffee65c0ffee65000003

The system may keep running: it does what is scheduled within a few seconds.")]
pub(crate) struct Payments {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    source: Source,
}

#[derive(Clone, Debug, Subcommand)]
enum Action {
    /// Lists payments that Stripe does not let the system finish, and what to do about them.
    Stuck,
    /// Compares Stripe's recent PaymentIntents with the payments. Fails if they differ.
    Drift {
        /// How far to look back, in hours.
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u32).range(1..=8760))]
        hours: u32,
    },
    /// Refunds the payment of an order. The order is cancelled and its ticket goes back on sale.
    Refund {
        /// Id of the order.
        order: OrderId,
    },
}

impl Payments {
    /// Runs the command.
    pub(crate) async fn run(self, data: &Path, stripe: &StripeConfig) -> anyhow::Result<ExitCode> {
        let database = self.source.open(data).await?;
        match self.action {
            Action::Stuck => write(&stuck(&operations::stuck(&database).await?))?,
            Action::Drift { hours } => return drift(&database, stripe, hours).await,
            Action::Refund { order } => {
                let outcome = match operations::refund(&database, order).await? {
                    Refund::Scheduled => "will be refunded",
                    Refund::Done => "is refunded",
                };
                write(&format!("{order}: {outcome}\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn stuck(stuck: &[StuckPayment]) -> String {
    if stuck.is_empty() {
        return "No payment is stuck.\n".into();
    }
    let line = |payment: &StuckPayment| {
        let StuckPayment { payment, order, amount, intent, attempted_at } = payment;
        let intent = intent.as_deref().map_or_else(String::new, plain);
        format!("payment {payment}, order {order}, {amount} USD, {intent}, {attempted_at}\n")
    };
    let advice = "\nStripe rejects the next step of each. Find its intent in Stripe's dashboard, and capture, cancel or refund \
                  it there.\nThe system looks at it every hour, or at once if it receives webhooks.\nTo ask for a \
                  refund again: ticketing payments refund ORDER\n";
    stuck.iter().map(line).collect::<String>() + advice
}

async fn drift(database: &Database, stripe: &StripeConfig, hours: u32) -> anyhow::Result<ExitCode> {
    let since = database.clock().now().minus(Duration::from_secs(u64::from(hours) * 3600));
    let drifts = operations::drift(database, &stripe.stripe()?, since).await.map_err(|error| anyhow::anyhow!(error))?;
    if drifts.is_empty() {
        write(&format!("Stripe and the payments agree since {since}.\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    write(&differences(&drifts, since))?;
    Ok(ExitCode::FAILURE)
}

fn differences(drifts: &[Drift], since: Timestamp) -> String {
    let line = |drift: &Drift| {
        let Drift { intent, order, difference, .. } = drift;
        let order = order.map_or_else(|| "no order".to_owned(), |order| format!("order {order}"));
        format!("{}, {order}: {difference}. {}\n", plain(intent), advice(*difference))
    };
    let lines: String = drifts.iter().map(line).collect();
    format!("{lines}\n{} differences since {since}.\n", drifts.len())
}

/// What to do about a difference.
pub(crate) fn advice(difference: Difference) -> &'static str {
    match difference {
        Difference::UnknownPayment => "Was the database restored? Cancel or refund it in Stripe's dashboard.",
        Difference::StillOpen | Difference::StillCharged => "The system releases or refunds it within a minute.",
        Difference::NotHeld => "The system lets the payment fail, and orders decides about the order.",
        Difference::Amount => "Refund it in Stripe's dashboard, and find out who changed it.",
        Difference::Unrecorded => "It holds nothing, and the system cancels it.",
    }
}
